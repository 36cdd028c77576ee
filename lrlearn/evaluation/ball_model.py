"""A quadratic model of a function on a ball, from gradients seen there."""

import numpy as np
import tensorflow as tf

from lrlearn.vectors import unit

_SHIFTS = np.geomspace(1e-10, 2.0, 500)


def predict_gradient(directions, changes, gradient, epsilon):
    r"""Returns the gradient predicted for the best point of the ball.

    If $f$ is quadratic with gradient $g$ and Hessian $H$ at the centre, the gradient
    at $r u_i$ is $g + r H u_i$. So with $U$ the directions and $D = r U H$ the changes,
    $f(r U^T c) - f(0)$ is known for every $c$. Divided by $r$ it is
    $$(U g)^T c + c^T (U D^T) c/2.$$
    This maximises it over $\|U^T c\| = 1$ and returns $g + D^T c$.

    Args:
        directions: $U$, unit vectors or zeros, `[m, n]`.
        changes: $D$, differences to the gradient at the centre, `[m, n]`.
        gradient: $g$, `[n]`.
        epsilon: Machine epsilon of the gradients, see `flat.Function`.
    """
    # In float64 since the directions are nearly parallel towards the end.
    u, d, g = (tf.cast(t, tf.float64) for t in (directions, changes, gradient))
    basis = _orthonormal_basis(u, epsilon)
    curvature = tf.matmul(basis, tf.matmul(u, d, transpose_b=True))
    curvature = tf.matmul(curvature, basis, transpose_b=True)
    slope = tf.linalg.matvec(basis, tf.linalg.matvec(u, g))
    c = _best_on_sphere((curvature + tf.transpose(curvature)) / 2, slope)
    c = tf.linalg.matvec(basis, c, transpose_a=True)
    return gradient + tf.cast(tf.linalg.matvec(d, c, transpose_a=True), gradient.dtype)


def new_direction(directions, changes, epsilon):
    """Returns the last change as a unit vector perpendicular to all directions."""
    u, v = tf.cast(directions, tf.float64), tf.cast(changes[-1], tf.float64)
    basis = _orthonormal_basis(u, epsilon)
    v = unit(v)
    coefficients = tf.linalg.matvec(basis, tf.linalg.matvec(u, v))
    coefficients = tf.linalg.matvec(basis, coefficients, transpose_a=True)
    v = v - tf.linalg.matvec(u, coefficients, transpose_a=True)
    return tf.cast(unit(v), changes.dtype)


def _orthonormal_basis(u, epsilon):
    """Returns `B` such that the rows of `B u` that are not zero are orthonormal.

    Directions that differ by no more than the rounding errors count as one.
    """
    eigenvalues, vectors = tf.linalg.eigh(tf.matmul(u, u, transpose_b=True))
    kept = eigenvalues > epsilon * eigenvalues[-1]
    scale = tf.where(kept, tf.math.rsqrt(tf.where(kept, eigenvalues, 1.0)), 0.0)
    return scale[:, None] * tf.transpose(vectors)


def _best_on_sphere(curvature, slope):
    r"""Returns the maximiser of $b^T c + c^T A c/2$ over $\|c\| = 1$.

    It is $(\mu I - A)^{-1} b$ for the $\mu \ge \lambda_{max}(A)$ that gives it norm 1.
    That $\mu$ is taken from a logarithmic grid: the caller improves on the result. If
    even the smallest shift gives less than norm 1, the top eigenvector makes up for it.
    """
    eigenvalues, vectors = tf.linalg.eigh(curvature)
    b = tf.linalg.matvec(vectors, slope, transpose_a=True)
    gaps = tf.norm(b) * _SHIFTS[:, None] + (eigenvalues[-1] - eigenvalues)
    candidates = tf.math.divide_no_nan(b, gaps)
    square_norms = tf.reduce_sum(tf.square(candidates), axis=1)
    # The last shift is always feasible, the first feasible one is best.
    index = tf.argmax(tf.cast(square_norms <= 1.0, tf.int32))
    c, square_norm = candidates[index], square_norms[index]
    top = tf.sqrt(tf.square(c[-1]) + tf.maximum(1.0 - square_norm, 0.0))
    filled = tf.concat([c[:-1], tf.where(c[-1] < 0, -top, top)[None]], axis=0)
    scaled = tf.math.divide_no_nan(c, tf.sqrt(square_norm))
    return tf.linalg.matvec(vectors, tf.where(index == 0, filled, scaled))
