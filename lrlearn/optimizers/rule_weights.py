"""The weights of an update rule as an optimizer's variables."""

import keras
import numpy as np
from keras import ops

from lrlearn.optimizers import backends

# Finite: NaN would alarm those who look for it in a model's variables.
_UNSET = float(np.finfo("float32").max)


class RuleWeights:
    r"""$\theta$ in variables: a marker until it is assigned, here or by a checkpoint.

    Args:
        rule: An `UpdateRule`.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
        first: Number of variables that the optimizer already has.

    Attributes:
        slice: The slice of the optimizer's variables that is these.
    """

    def __init__(self, rule, add_variable, first):
        self._rule, self._are_set = rule, False
        self._variables = {
            name: add_variable(
                shape,
                initializer=keras.initializers.Constant(_UNSET),
                dtype="float32",
                name=name.replace("/", "_"),
            )
            for name, shape in sorted(rule.theta_shapes().items())
        }
        self.slice = slice(first, first + len(self._variables))

    @property
    def variables(self):
        """A list of the variables."""
        return list(self._variables.values())

    def assign(self, theta):
        """Sets the weights; raises a `ValueError` if they do not fit the rule."""
        theta = self._rule.standardize_theta(theta)
        wrong = [name for name, value in theta.items() if not _is_set(value).all()]
        if wrong:
            raise ValueError(
                f"`theta` must be less than {_UNSET}, which marks weights that are not "
                f"set. Received: it in {wrong}"
            )
        for name, value in theta.items():
            self._variables[name].assign(value)
        self._are_set = True

    def misfit(self, values):
        """Returns why saved values cannot be weights, set or not, `None` if they can.

        Args:
            values: A list of arrays, as `variables`.
        """
        are_set = [_is_set(value) for value in values]
        wrong = [
            v.name for v, s in zip(self.variables, are_set, strict=True) if not s.all()
        ]
        if wrong and any(s.any() for s in are_set):
            return f"its rule's weights must be finite. Received: others in {wrong}"
        return None

    def load(self, values):
        """Sets saved values, also those that are not set."""
        are_set = all(_is_set(value).all() for value in values)
        for variable, value in zip(self.variables, values, strict=True):
            # What marks in a file may be NaN.
            variable.assign(
                value if are_set else np.full(value.shape, _UNSET, "float32")
            )
        self._are_set = are_set

    def tensors(self):
        """Returns a dict of float32 tensors, whatever Keras casts variables to."""
        return {name: ops.cast(v, "float32") for name, v in self._variables.items()}

    def numpy(self):
        """Returns a dict of NumPy arrays, also while TensorFlow traces a function."""
        with backends.outside_graph():
            return {name: v.numpy() for name, v in self._variables.items()}

    def are_set(self):
        """Returns whether all weights are set."""
        # TensorFlow's checkpoints fill variables and tell no one.
        if not self._are_set and keras.backend.backend() == "tensorflow":
            self._are_set = all(_is_set(v).all() for v in self.numpy().values())
        return self._are_set


def _is_set(value):
    """Returns bools: NaN and inf mark, too, in files and after a cast."""
    with np.errstate(over="ignore"):
        value = np.asarray(value, "float32")
    return np.isfinite(value) & (value != np.float32(_UNSET))
