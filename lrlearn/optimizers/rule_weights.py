"""The weights of an update rule as an optimizer's variables."""

import math

import keras
import numpy as np
from keras import ops

from lrlearn.optimizers import backends
from lrlearn.optimizers.preset_format import checked_theta


class RuleWeights:
    r"""$\theta$ in variables: NaN until it is assigned, here or by a checkpoint.

    Args:
        rule: An `UpdateRule`.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
    """

    def __init__(self, rule, add_variable):
        self._rule = rule
        self._variables = {
            name: add_variable(
                shape,
                initializer=keras.initializers.Constant(math.nan),
                dtype="float32",
                name=name.replace("/", "_"),
            )
            for name, shape in sorted(rule.theta_shapes().items())
        }

    @property
    def variables(self):
        """A list of the variables."""
        return list(self._variables.values())

    def assign(self, theta):
        """Sets the weights; raises a `ValueError` if they do not fit the rule."""
        for name, value in checked_theta(self._rule, theta).items():
            self._variables[name].assign(value)

    def tensors(self):
        """Returns a dict of float32 tensors, whatever Keras casts variables to."""
        return {name: ops.cast(v, "float32") for name, v in self._variables.items()}

    def numpy(self):
        """Returns a dict of NumPy arrays, also while TensorFlow traces a function."""
        with backends.outside_graph():
            return {name: v.numpy() for name, v in self._variables.items()}

    def are_finite(self):
        """Returns whether the weights are set."""
        return all(np.isfinite(value).all() for value in self.numpy().values())
