"""Vector algebra over lists of tensors, taken together as one vector.

Sums over all tensors are float32 at least, so that half-precision parameters do not
overflow; results keep the type of each tensor. `unit` and `norm` also take a single
tensor.
"""

import functools
import itertools

import keras
from keras import ops

_TINY = 1.1754944e-38  # the smallest normal float32


def flatten(a, dtype="float32"):
    """Returns the coordinates of all tensors, one after another, as a tensor `[n]`."""
    return ops.concatenate([ops.reshape(ops.cast(x, dtype), (-1,)) for x in a])


def split(x, sizes):
    """Returns the parts of some sizes along the last axis of a tensor, a list.

    Example:
        >>> import numpy as np
        >>> from lrlearn import vectors
        >>> [part.tolist() for part in vectors.split(np.array([1, 2, 3]), [1, 2])]
        [[1], [2, 3]]
    """
    ends = itertools.accumulate(sizes)
    return [x[..., end - size : end] for size, end in zip(sizes, ends, strict=True)]


def dot(a, b):
    """Returns the inner product of two vectors, over all their tensors."""
    a, b = _at_least_float32(a), _at_least_float32(b)
    return sum(ops.sum(x * y) for x, y in zip(a, b, strict=True))


def norm(a):
    """Returns the L2 norm of a vector; its squares neither overflow nor vanish."""
    scaled, largest = _scaled(keras.tree.flatten(a))
    return largest * ops.sqrt(dot(scaled, scaled))


def unit(a):
    r"""Returns $a/|a|$, or zero if $a = 0$, as float32 or float64 tensors.

    The largest entry is scaled to 1 first. So no square overflows or underflows, and
    the norm of what is left is at least 1 unless $a = 0$: there is no epsilon.

    Args:
        a: A tensor, or a list of tensors.

    Example:
        >>> import numpy as np
        >>> from lrlearn import vectors
        >>> [x.numpy().tolist() for x in vectors.unit([np.array([3.0]), np.array(4.0)])]
        [[0.6], 0.8]
    """
    scaled, _ = _scaled(keras.tree.flatten(a))
    length = ops.maximum(ops.sqrt(dot(scaled, scaled)), 1.0)
    return keras.tree.pack_sequence_as(a, [x / length for x in scaled])


def add(a, b, scale=1.0):
    """Returns `a + scale * b` in the types of `a`."""
    return [
        x + ops.cast(ops.convert_to_tensor(scale, y.dtype) * y, x.dtype)
        for x, y in zip(a, b, strict=True)
    ]


def combine(alpha, a, beta, b):
    r"""Returns $\alpha a + \beta b$ for two numbers."""
    return [alpha * x + beta * y for x, y in zip(a, b, strict=True)]


def perpendicular(a, b):
    r"""Returns the part of $a$ perpendicular to $b$, $a - (a \cdot b/|b|^2)\,b$."""
    direction = unit(b)
    return add(a, direction, -dot(a, direction))


def ascend(params, direction, radius):
    r"""Returns $w + r\,v/|v|$; the perturbation is a constant to differentiation.

    Args:
        params: The point $w$, a list of tensors.
        direction: The direction $v$, a list of tensors; if it is zero, the result is
            `params`.
        radius: The L2 length $r$ of the perturbation, a number or a scalar tensor.
    """
    return add(params, [ops.stop_gradient(x) for x in unit(direction)], radius)


def _scaled(a):
    """Returns the tensors divided by their largest magnitude, and that magnitude."""
    a = _at_least_float32(a)
    largest = [ops.max(ops.abs(x), initial=_TINY) for x in a]
    largest = functools.reduce(ops.maximum, largest)
    return [x / largest for x in a], largest


def _at_least_float32(a):
    dtype = keras.backend.result_type(*(x.dtype for x in a), "float32")
    return [ops.cast(x, dtype) for x in a]
