"""The coordinatewise LSTM update rule with a learned schedule."""

import math

import keras
from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.rules import lstm
from lrlearn.rules.scheduled_rule import ScheduledRule
from lrlearn.rules.tensor_statistics import NUM_FEATURES


@register_keras_serializable(package="lrlearn")
class ScheduledLSTM(ScheduledRule):
    r"""A small LSTM for every coordinate, with a schedule for every tensor.

    The direction differs from Adam's by $o = K h + b$, with $h$ the output of an LSTM
    as in `CoordinatewiseLSTM` that runs on the features $x$; the tensor's features $z$
    add to the bias of its first layer. See `ScheduledRule` for inputs and update.

    Args:
        units: Sizes of the LSTM layers. Defaults to `(20, 20)`.
        default_rho: See `ScheduledRule`. Defaults to `None`.

    Raises:
        ValueError: If `units` are not positive integers, or `default_rho` is not as
            `ScheduledRule` says.

    Reference:
        [Andrychowicz et al., 2016](https://arxiv.org/abs/1606.04474), section 2.1; see
        also `ScheduledRule`.

    Example:
        >>> import numpy as np
        >>> import lrlearn
        >>> rule = lrlearn.rules.ScheduledLSTM(units=(4,))
        >>> theta, state = rule.init_theta(seed=0), rule.initial_state([(3, 2), (2,)])
        >>> g, w = np.ones(8), np.zeros(8)
        >>> d, state = rule.update(theta, g, w, state, step=1, shapes=[(3, 2), (2,)])
        >>> d.shape
        TensorShape([8])
    """

    def __init__(self, units=(20, 20), default_rho=None):
        super().__init__(default_rho)
        self.units = lstm.check_units(units)

    def direction_shapes(self):
        """See `ScheduledRule`."""
        return {
            **lstm.shapes(self.units, NUM_FEATURES),
            "lstm0/context": (4 * self.units[0], self.num_context),
            "head/kernel": (1, self.units[-1]),
            "head/bias": (1, 1),
        }

    def init_theta(self, seed=0):
        """See `ScheduledRule`; biases of forget gates are 1."""
        return lstm.open_forget_gates(super().init_theta(seed), self.units)

    def init_memory(self, n):
        """See `ScheduledRule`: hidden and cell state of each layer."""
        return lstm.init_memory(self.units, n)

    def direction(self, theta, x, z, memory):
        """See `ScheduledRule`."""
        offset = ops.matmul(theta["lstm0/context"], z)
        flat = keras.tree.map_structure(_flat, (x, memory))
        hidden, new = lstm.step(theta, *flat, offset)
        o = ops.matmul(theta["head/kernel"], hidden) + theta["head/bias"]
        new = {
            name: ops.reshape(value, memory[name].shape) for name, value in new.items()
        }
        return ops.reshape(o, x.shape[1:]), new

    def get_config(self):
        """See `UpdateRule`."""
        return {"units": list(self.units), "default_rho": self.default_rho}


def _flat(x):
    return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))
