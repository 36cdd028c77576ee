"""The top eigenvalue of a symmetric matrix, from its products with vectors."""

from typing import Any, NamedTuple

import tensorflow as tf

from lrlearn.evaluation import flat
from lrlearn.vectors import norm, unit

# Factor of the tolerated residual: an eigenvalue so close need not be the top one.
_MARGIN = 0.25


class _Iterate(NamedTuple):
    """Unit vectors `v` and `p` or a zero `p`, perpendicular, and their images."""

    v: Any
    hv: Any
    p: Any
    hp: Any


def power_iteration(multiply, v, tolerance, max_iterations, epsilon):
    """Returns the top eigenvalue; `Hessian.top_eigenvalue` describes the method.

    Args:
        multiply: Function of a vector that returns the matrix times the vector.
        v: Unit vector to start from, `[n]`.
        tolerance: See `Hessian.top_eigenvalue`.
        max_iterations: See `Hessian.top_eigenvalue`.
        epsilon: Machine epsilon of the products, see `flat.Function`.

    Returns:
        A tuple of the eigenvalue, whether it has converged, the iterations taken and
        the eigenvector, all tensors.
    """

    def step(i, iterate, size):
        iterate, image_norm = _improve(iterate, multiply)
        return i + 1, iterate, tf.maximum(size, image_norm)

    hv, zero = multiply(v), tf.zeros_like(v)
    i, iterate, size = tf.while_loop(
        lambda _, iterate, size: _excess(iterate, tolerance, epsilon * size) > 0,
        step,
        (tf.constant(0), _Iterate(v, hv, zero, zero), norm(hv)),
        maximum_iterations=max_iterations,
        parallel_iterations=1,
    )
    # Computed anew, since rounding errors add up in the combinations.
    iterate = iterate._replace(hv=multiply(iterate.v))
    value = tf.tensordot(iterate.v, iterate.hv, 1)
    converged = _excess(iterate, tolerance, epsilon * size) <= 0
    return value, converged, i, iterate.v


def _excess(iterate, tolerance, rounding):
    """Returns the residual minus the tolerated one; NaN ends the search."""
    v, hv, *_ = iterate
    value = tf.tensordot(v, hv, 1)
    tolerated = _MARGIN * tolerance * tf.abs(value) + 10 * rounding
    return norm(hv - value * v) - tolerated


def _improve(iterate, multiply):
    """Returns the iterate of the best `v` in the span, and the new image's norm."""
    v, hv, p, hp = iterate
    r = _remainder(hv, v, p)
    hr = multiply(r)
    basis, images = tf.stack([v, r, p]), tf.stack([hv, hr, hp])
    c = _best_combination(basis, images - tf.tensordot(v, hv, 1) * basis)
    move = c * [0, 1, 1]  # The new `v` without its part along the old one.
    v, hv, p, hp = (
        tf.linalg.matvec(vectors, weights, transpose_a=True)
        for weights in (c, move)
        for vectors in (basis, images)
    )
    overlap = tf.tensordot(v, p, 1)
    p, hp = p - overlap * v, hp - overlap * hv
    v, hv = _normalized(v, hv)
    return _Iterate(v, hv, *_normalized(p, hp)), norm(hr)


def _remainder(r, v, p):
    """Returns the part perpendicular to `v` and `p`, a unit vector or zero."""
    for _ in range(2):  # Once would leave rounding errors if the part is small.
        r = unit(r)
        r = r - tf.tensordot(v, r, 1) * v - tf.tensordot(p, r, 1) * p
    return tf.where(tf.norm(r) > 0.5, unit(r), tf.zeros_like(r))


def _best_combination(basis, residuals):
    r"""Returns the unit vector `c` that maximises $c^T B (H - \lambda) B^T c$.

    Args:
        basis: $B$, orthonormal rows, of which some may be zero instead, `[3, n]`.
        residuals: $B (H - \lambda)$, `[3, n]`.

    Returns:
        A tensor `[3]`, NaN if the matrix is not finite.
    """
    matrix = tf.cast(tf.matmul(basis, residuals, transpose_b=True), tf.float64)
    defect = flat.defect(matrix)
    # `eigh` raises an error if a matrix is not finite.
    matrix = tf.where(defect == 0, matrix + tf.transpose(matrix), 0.0)
    matrix = tf.math.divide_no_nan(matrix, tf.reduce_max(tf.abs(matrix)))
    # The entry of `v` is 0: rows that are zero must not be as good.
    absent = tf.reduce_all(basis == 0, axis=1)
    matrix = matrix - tf.linalg.diag(tf.cast(absent, tf.float64))
    _, vectors = tf.linalg.eigh(matrix)
    return tf.cast(vectors[:, -1] + defect, basis.dtype)


def _normalized(v, image):
    """Returns a vector and its image, divided by the length of the vector."""
    length = tf.norm(v)
    return tf.math.divide_no_nan(v, length), tf.math.divide_no_nan(image, length)
