"""Checks of arguments."""

import math
import numbers
import warnings

import numpy as np
import tensorflow as tf


def check_radius(radius):
    """Raises a `ValueError` unless `radius` is a finite number >= 0."""
    if not tf.is_symbolic_tensor(radius) and not 0 <= float(radius) < math.inf:
        raise ValueError(
            f"`radius` must be a finite number >= 0. Received: radius={float(radius)}"
        )


def check_count(name, count, minimum=1):
    """Returns `count` as an `int`; raises a `ValueError` if it is none or too low."""
    is_integer = isinstance(count, numbers.Integral) and not isinstance(count, bool)
    if not is_integer or count < minimum:
        raise ValueError(
            f"`{name}` must be an integer >= {minimum}. Received: {name}={count!r}"
        )
    return int(count)


def warn_if_nan(values, cause="loss or its gradient", result="the result is NaN"):
    """Warns if values that mark the results of a function of the package hold NaN.

    Args:
        values: An array or tensor; symbolic ones cannot tell.
        cause: What is not finite then.
        result: What comes of it.
    """
    if not tf.is_symbolic_tensor(values) and np.isnan(values).any():
        message = (
            f"The {cause} is not finite at the parameters, or they are not: {result}"
        )
        warnings.warn(message, stacklevel=3)
