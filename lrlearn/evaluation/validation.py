"""Checks of radii and of results."""

import math
import warnings

import numpy as np
import tensorflow as tf


def check_radius(radius, name="radius"):
    """Raises a `ValueError` unless `radius` is a finite number >= 0."""
    if tf.is_symbolic_tensor(radius):
        return
    try:
        valid = 0 <= float(radius) < math.inf
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"`{name}` must be a finite number >= 0. Received: {name}={radius!s}"
        )


def check_radii(name, radii):
    """Raises a `ValueError` unless `radii` is a list of valid radii."""
    if np.ndim(radii) != 1:
        raise ValueError(f"`{name}` must be a list of numbers. Received: {radii!r}")
    for radius in radii:
        check_radius(radius, name)


def warn_if_nan(values, cause="loss or its gradient", result="the result is NaN"):
    """Warns if an array or a tensor, unless it is symbolic, holds NaN."""
    if not tf.is_symbolic_tensor(values) and np.isnan(values).any():
        message = f"The parameters, or the {cause} there, are not finite: {result}"
        warnings.warn(message, stacklevel=3)
