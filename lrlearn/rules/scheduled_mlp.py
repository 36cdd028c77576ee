"""The per-parameter MLP update rule with a learned schedule."""

import copy

from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.checks import check_count
from lrlearn.rules.building_blocks import clip_rows, products, written_out
from lrlearn.rules.scheduled_rule import ScheduledRule
from lrlearn.rules.tensor_statistics import NUM_FEATURES, of_all


@register_keras_serializable(package="lrlearn")
class ScheduledMLP(ScheduledRule):
    r"""A small MLP for every parameter, with a schedule for every tensor.

    The direction differs from Adam's by
    $o = K_2\,\mathrm{relu}(K_1 x + C z + b_1) + b_2$; see `ScheduledRule` for the
    inputs and the update. It keeps three numbers a parameter.

    Args:
        units: Size of the hidden layer. Defaults to `8`.
        default_rho: See `ScheduledRule`. Defaults to `None`.

    Raises:
        ValueError: If `units` is not a positive integer, or `default_rho` is not as
            `ScheduledRule` says.

    Reference:
        [Harrison et al., 2022](https://arxiv.org/abs/2209.11208), section 4 (a nominal
        term beside the network); see also `ScheduledRule`.

    Example:
        >>> import numpy as np
        >>> import lrlearn
        >>> rule = lrlearn.rules.ScheduledMLP()
        >>> theta, state = rule.init_theta(seed=0), rule.initial_state([(3, 2), (2,)])
        >>> g, w = np.ones(8), np.zeros(8)
        >>> run = lrlearn.rules.Run(total_steps=100)
        >>> d, state = rule.update(
        ...     theta, g, w, state, step=1, shapes=[(3, 2), (2,)], run=run)
        >>> d.shape
        TensorShape([8])
    """

    def __init__(self, units=8, default_rho=None):
        super().__init__(default_rho)
        self.units = check_count("units", units)
        self._dense = products

    def direction_shapes(self):
        """See `ScheduledRule`."""
        return {
            "hidden/kernel": (self.units, NUM_FEATURES),
            "hidden/context": (self.units, self.num_context),
            "hidden/bias": (self.units, 1),
            "head/kernel": (1, self.units),
            "head/bias": (1, 1),
        }

    def direction(self, theta, x, z, memory):
        """See `ScheduledRule`."""
        offset = ops.matmul(theta["hidden/context"], z) + theta["hidden/bias"]
        hidden = self._dense(theta["hidden/kernel"], x, of_all(offset), ops.relu)
        bias = of_all(theta["head/bias"])
        return self._dense(theta["head/kernel"], hidden, bias)[0], memory

    def for_xla(self):
        """See `UpdateRule`."""
        rule = copy.copy(self)
        rule._dense, rule._clip = written_out, clip_rows
        return rule

    def get_config(self):
        """See `UpdateRule`."""
        return {"units": self.units, "default_rho": self.default_rho}
