"""The weights of an update rule among an optimizer's variables."""

import keras
import numpy as np
from keras import ops

from lrlearn.optimizers import backends

# Finite, since a NaN among a model's variables would be taken for an error.
_UNSET = float(np.finfo("float32").max)
_NUMBERS = "biufV"  # NumPy's kinds; bfloat16 is of the last


class RuleWeights:
    r"""$\theta$ in variables: a marker until it is assigned, here or by a checkpoint.

    Args:
        rule: An `UpdateRule`.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
        first: Number of variables that the optimizer already has.

    Attributes:
        slice: The slice of the optimizer's variables that holds the weights.
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

    def load_all(self, values, variables, in_use):
        """Sets all of an optimizer's variables from saved values, or none.

        Absent values are `None`; an optimizer is `in_use` if it has variables to train.
        Returns why the values do not fit, `None` if they do.
        """
        end = self.slice.stop
        # One that was saved before it was built has no state.
        variables = variables[: end if len(values) == end else None]
        misfit = self._misfit(values, variables)
        if not misfit:
            pairs = list(zip(variables, values, strict=True))
            del pairs[self.slice]
            for variable, value in pairs:
                variable.assign(value)
        fit = not self._misfit(values[:end], variables[:end])
        # A copy of an optimizer in use takes the weights alone.
        if not misfit or (fit and not in_use and not self.are_set()):
            self._load(values[self.slice])
        return misfit

    def _load(self, values):
        self._are_set = all(_is_set(value).all() for value in values)
        for variable, value in zip(self._variables.values(), values, strict=True):
            # In a file, the marker may be NaN.
            unset = np.full(value.shape, _UNSET, "float32")
            variable.assign(value if self._are_set else unset)

    def _misfit(self, values, variables):
        if len(values) != len(variables):
            return f"it has {len(variables)} variables. Received: {len(values)} values"
        for i, (variable, value) in enumerate(zip(variables, values, strict=True)):
            expected, received = tuple(variable.shape), _shape(value)
            if received != expected:
                return (
                    f"its variable {i}, {variable.name!r}, must be numbers of shape "
                    f"{expected}. Received: {received}"
                )
        are_set = [_is_set(value) for value in values[self.slice]]
        pairs = zip(variables[self.slice], are_set, strict=True)
        wrong = [variable.name for variable, is_set in pairs if not is_set.all()]
        if wrong and any(is_set.any() for is_set in are_set):
            return f"its rule's weights must be finite. Received: others in {wrong}"
        return None

    def tensors(self):
        """Returns a dict of float32 tensors, whatever Keras casts variables to."""
        return {name: ops.cast(v, "float32") for name, v in self._variables.items()}

    def numpy(self):
        """Returns a dict of NumPy arrays, also while TensorFlow traces a function."""
        with backends.outside_graph():
            return {name: v.numpy() for name, v in self._variables.items()}

    def are_set(self):
        """Returns whether all weights are set."""
        # TensorFlow's checkpoints set variables, and call nothing here.
        if not self._are_set and keras.backend.backend() == "tensorflow":
            self._are_set = all(_is_set(v).all() for v in self.numpy().values())
        return self._are_set


def _is_set(value):
    """Returns bools; the marker may have become NaN or inf, in a file or by a cast."""
    with np.errstate(over="ignore"):
        value = np.asarray(value, "float32")
    return np.isfinite(value) & (value != np.float32(_UNSET))


def _shape(value):
    """Returns an array's shape; its type if it holds no numbers."""
    if value is None:
        return "none"
    return value.shape if value.dtype.kind in _NUMBERS else str(value.dtype)
