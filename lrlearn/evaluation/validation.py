"""Checks of radii and of results."""

import math
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


def warn_if_nan(values, cause="loss or its gradient", result="the result is NaN"):
    """Warns if results hold NaN.

    Args:
        values: An array or tensor; a symbolic one gives no warning.
        cause: What is not finite if they do.
        result: The consequence.
    """
    if not tf.is_symbolic_tensor(values) and np.isnan(values).any():
        message = (
            f"The {cause} is not finite at the parameters, or they are not: {result}"
        )
        warnings.warn(message, stacklevel=3)
