"""Checks of arguments."""

import math

import tensorflow as tf


def check_radius(radius):
    """Raises a `ValueError` unless `radius` is a finite number >= 0."""
    if not tf.is_symbolic_tensor(radius) and not 0 <= float(radius) < math.inf:
        raise ValueError(
            f"`radius` must be a finite number >= 0. Received: radius={float(radius)}"
        )


def check_count(name, count):
    """Raises a `ValueError` unless `count` is a positive integer."""
    if not isinstance(count, int) or count < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={count}"
        )
