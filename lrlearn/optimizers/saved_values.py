"""An optimizer's variables set from a file or a list, all or none."""

import numpy as np

_NUMBERS = "biufV"  # NumPy's kinds; bfloat16 is of the last


class SavedValues:
    """Values for an optimizer's variables, checked before the first is set.

    Args:
        values: A list of arrays, `None` for those that are absent.
        variables: The optimizer's variables.
        theta: The `RuleWeights` among them.
    """

    def __init__(self, values, variables, theta):
        self._values, self._theta = values, theta
        self._slice = theta.slice
        # If saved before it was built, there is no other state.
        unbuilt = len(values) == self._slice.stop
        self._variables = variables[: self._slice.stop if unbuilt else None]

    def misfit(self):
        """Returns why they do not fit these variables, `None` if they do."""
        expected, received = len(self._variables), len(self._values)
        if received != expected:
            return f"it has {expected} variables. Received: {received} values"
        return self._misfit_of_first(expected)

    def assign(self):
        """Sets the variables."""
        pairs = list(zip(self._variables, self._values, strict=True))
        del pairs[self._slice]
        for variable, value in pairs:
            variable.assign(value)
        self._theta.load(self._values[self._slice])

    def assign_theta_if_there(self):
        """Sets the rule's weights alone if all up to them fits."""
        end = self._slice.stop
        if len(self._values) >= end and not self._misfit_of_first(end):
            self._theta.load(self._values[self._slice])

    def _misfit_of_first(self, n):
        pairs = zip(self._variables[:n], self._values[:n], strict=True)
        for i, (variable, value) in enumerate(pairs):
            expected, received = tuple(variable.shape), _shape(value)
            if received != expected:
                return (
                    f"its variable {i}, {variable.name!r}, must be numbers of shape "
                    f"{expected}. Received: {received}"
                )
        return self._theta.misfit(self._values[self._slice])


def values_of(store):
    """Returns a list of the arrays in what Keras gives to `load_own_variables`."""
    keys = list(store.keys())
    return [
        np.asarray(store[key]) if key in keys else None
        for key in map(str, range(len(keys)))
    ]


def _shape(value):
    """Returns the shape, or what the value is if it is no array of numbers."""
    if value is None:
        return "none"
    return value.shape if value.dtype.kind in _NUMBERS else str(value.dtype)
