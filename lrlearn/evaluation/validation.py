"""Checks of arguments."""

import math
import numbers
import warnings

import numpy as np
import tensorflow as tf


def check_radius(radius):
    """Raises a `ValueError` unless `radius` is a finite number >= 0."""
    if tf.is_symbolic_tensor(radius):
        return
    try:
        valid = 0 <= float(radius) < math.inf
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"`radius` must be a finite number >= 0. Received: {radius=!s}"
        )


def check_radii(name, radii):
    """Raises a `ValueError` unless `radii` is a list of valid radii."""
    if np.ndim(radii) != 1:
        raise ValueError(f"`{name}` must be a list of numbers. Received: {radii!r}")
    for radius in radii:
        check_radius(radius)


def check_positive(name, value):
    """Raises a `ValueError` unless `value` is a finite number > 0."""
    if not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise ValueError(
            f"`{name}` must be a positive number. Received: {name}={value!r}"
        )


def check_count(name, count, minimum=1):
    """Returns `count` as an `int`; raises a `ValueError` if it is no valid one."""
    is_integer = isinstance(count, numbers.Integral) and not isinstance(count, bool)
    if not is_integer or count < minimum:
        raise ValueError(
            f"`{name}` must be an integer >= {minimum}. Received: {name}={count!r}"
        )
    return int(count)


def warn_if_nan(values, cause="loss or its gradient", result="the result is NaN"):
    """Warns if results hold NaN.

    Args:
        values: An array or tensor; of a symbolic one nothing is known.
        cause: What is not finite then.
        result: The consequence.
    """
    if not tf.is_symbolic_tensor(values) and np.isnan(values).any():
        message = (
            f"The {cause} is not finite at the parameters, or they are not: {result}"
        )
        warnings.warn(message, stacklevel=3)
