"""A model's parameters as one vector."""

import numpy as np
import tensorflow as tf

from lrlearn.vectors import flatten


class FlatParams:
    """How a model's parameters lie in one float32 vector `[n]`.

    Args:
        variables: The variables, a list.
        padding: Number of coordinates at the end that are no parameter's.

    Attributes:
        shapes: Shapes of the tensors in the vector, the padding being the last.
        size: Number n of coordinates.
        is_constrained: Whether a variable has a `keras.constraints.Constraint`.
    """

    def __init__(self, variables, padding):
        self.shapes = [*(tuple(v.shape) for v in variables), (padding,)]
        self._dtypes = [v.dtype for v in variables]
        self._constraints = [*(v.constraint for v in variables), None]
        self._sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.size = sum(self._sizes)
        self.is_constrained = any(c is not None for c in self._constraints)

    def flatten(self, tensors):
        """Returns the vector of a list of tensors."""
        return flatten([*tensors, tf.zeros(self.shapes[-1])])

    def unflatten(self, w):
        """Returns the list of tensors, in the types of the variables."""
        parts = tf.split(w, self._sizes)[:-1]
        return [
            tf.cast(tf.reshape(part, shape), dtype)
            for part, shape, dtype in zip(
                parts, self.shapes[:-1], self._dtypes, strict=True
            )
        ]

    def repeat(self, values):
        """Returns a vector in which each tensor of `shapes` has one value."""
        return tf.constant(np.repeat(values, self._sizes), tf.float32)

    def project(self, w, scale):
        """Returns parameters that meet the constraints of the variables.

        As in Keras, they are projected after each update, and not before the first.

        Args:
            w: Parameters divided by `scale`, `[n]`.
            scale: Their factors, `[n]`.
        """
        if not self.is_constrained:
            return w
        parts = [tf.split(x, self._sizes) for x in (w, scale)]
        projected = [
            part if constraint is None else _project(constraint, part, factors, shape)
            for part, factors, constraint, shape in zip(
                *parts, self._constraints, self.shapes, strict=True
            )
        ]
        return tf.concat(projected, axis=0)


def _project(constraint, w, scale, shape):
    """Returns a flat tensor divided by `scale`, projected as the model has it."""
    projected = constraint(tf.reshape(w * scale, shape))
    return tf.reshape(tf.cast(projected, tf.float32), [-1]) / scale
