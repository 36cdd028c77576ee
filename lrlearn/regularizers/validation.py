"""Checks of arguments."""

import math
import numbers


def non_negative(**argument):
    """Returns the value of one keyword argument as a float, if it is valid.

    Raises:
        ValueError: If it is negative, not finite or no number.

    Example:
        >>> from lrlearn.regularizers.validation import non_negative
        >>> non_negative(rho=1)
        1.0
    """
    ((name, value),) = argument.items()
    valid = isinstance(value, numbers.Real) and math.isfinite(value) and value >= 0
    if not valid:
        raise ValueError(
            f"`{name}` must be a finite number, at least 0. Received: {name}={value!r}"
        )
    return float(value)
