"""Curvature of a loss: the top eigenvalue and the trace of its Hessian."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from lrlearn.evaluation import flat
from lrlearn.evaluation.validation import check_count

_MARGIN = 0.25


class EigenvalueResult(NamedTuple):
    """What `top_eigenvalue` found.

    Attributes:
        value: The eigenvalue, a scalar.
        converged: Whether the tolerance was reached, a boolean scalar.
        iterations: Iterations taken, an integer scalar.
        eigenvector: Its eigenvector, of norm 1, a list shaped like the parameters.
    """

    value: Any
    converged: Any
    iterations: Any
    eigenvector: Any


class TraceResult(NamedTuple):
    """What `hessian_trace` found, two scalars.

    Attributes:
        value: The estimate of the trace.
        standard_error: Its standard error; NaN of a single probe.
    """

    value: Any
    standard_error: Any


class _Iterate(NamedTuple):
    """Unit vectors `v` and `p` or a zero `p`, perpendicular, and their images."""

    v: Any
    hv: Any
    p: Any
    hp: Any


def top_eigenvalue(
    loss_fn, params, tolerance=1e-3, max_iterations=100, seed=0
) -> EigenvalueResult:
    r"""Returns the algebraically largest eigenvalue of the Hessian of a loss.

    Power iteration takes $v$ to $Hv$. This goes on to the best unit vector of the span
    of $v$, $Hv$ and the previous move, that of the highest $\lambda = v^T H v$, which
    costs one Hessian-vector product too. So $\lambda$ never falls, a negative
    eigenvalue of larger magnitude is no attraction (plain power iteration would end
    there, or between the two), and convergence is that of conjugate gradients.

    It has converged when $\|Hv - \lambda v\|$ is at most a quarter of `tolerance` times
    $|\lambda|$, or drowns in the rounding errors of $H$. Some eigenvalue is that close
    to $\lambda$ then, mostly much closer, and nearly always the top one, which is never
    below $\lambda$.

    Called eagerly, it compiles one graph; called in a `tf.function`, it is part of it.

    Args:
        loss_fn: Twice differentiable function of a list of tensors that returns a
            scalar; for a Keras model see `model_loss`.
        params: List of tensors or variables.
        tolerance: Largest relative error, positive. Defaults to `1e-3`.
        max_iterations: Most iterations, of one Hessian-vector product each. Defaults
            to `100`.
        seed: Integer seed of the first $v$. Defaults to `0`.

    Returns:
        An `EigenvalueResult`. Where the Hessian is not finite, its value is not either.

    Raises:
        ValueError: If `params` is empty or an argument is not one of these.

    Reference:
        [Knyazev, 2001](https://doi.org/10.1137/S1064827500366124), algorithm 5.1, for
        one vector and without preconditioner. Of neural networks:
        [Yao et al., 2020](https://arxiv.org/abs/1912.07145).

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> def loss_fn(params):
        ...     return tf.reduce_sum(tf.square(params[0]) * [0.5, -4.0])
        >>> top = lrlearn.evaluation.top_eigenvalue(loss_fn, [tf.zeros(2)])
        >>> round(float(top.value), 3), bool(top.converged)
        (1.0, True)
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive. Received: {tolerance=}")
    check_count("max_iterations", max_iterations)

    def search(params, seed):
        loss = flat.Function(loss_fn, params)
        return _search(loss, tolerance, max_iterations, seed)

    search = tf.function(search, autograph=False)
    return search(flat.as_tensors(params), tf.constant(seed, tf.int32))


def hessian_trace(loss_fn, params, probes=100, seed=0) -> TraceResult:
    r"""Returns an estimate of the trace of the Hessian of a loss.

    Hutchinson's: the mean over random $z \in \{-1, 1\}^n$ of $z^T H z$, which is
    unbiased, exact where $H$ is diagonal, and of variance $2 \sum_{i \ne j} H_{ij}^2$.

    Called eagerly, it compiles one graph; called in a `tf.function`, it is part of it.

    Args:
        loss_fn: Twice differentiable function of a list of tensors that returns a
            scalar; for a Keras model see `model_loss`.
        params: List of tensors or variables.
        probes: Number of $z$, of one Hessian-vector product each. Defaults to `100`.
        seed: Integer seed of the probes. Defaults to `0`.

    Returns:
        A `TraceResult`. Where the Hessian is not finite, its value is not either.

    Raises:
        ValueError: If `params` is empty or `probes` is not a positive integer.

    Reference:
        Hutchinson, 1990, A stochastic estimator of the trace of the influence matrix;
        of neural networks: [Yao et al., 2020](https://arxiv.org/abs/1912.07145).

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> def loss_fn(params):
        ...     return tf.reduce_sum(tf.square(params[0]) * [0.5, -4.0])
        >>> trace = lrlearn.evaluation.hessian_trace(loss_fn, [tf.zeros(2)], probes=5)
        >>> float(trace.value), float(trace.standard_error)
        (-7.0, 0.0)
    """
    check_count("probes", probes)

    def estimate(params, seed):
        return _trace(flat.Function(loss_fn, params), probes, seed)

    estimate = tf.function(estimate, autograph=False)
    return estimate(flat.as_tensors(params), tf.constant(seed, tf.int32))


def _search(loss, tolerance, max_iterations, seed):
    multiply = tf.function(loss.hessian_vector_product, autograph=False)
    zero = loss.zero
    v = tf.random.stateless_normal(tf.shape(zero), [seed, 0], dtype=zero.dtype)
    v = flat.unit(v)
    hv = multiply(v)

    def step(i, iterate, size):
        iterate, image_norm = _improve(iterate, multiply)
        return i + 1, iterate, tf.maximum(size, image_norm)

    i, iterate, size = tf.while_loop(
        lambda _, iterate, size: _excess(iterate, tolerance, size) > 0,
        step,
        (tf.constant(0), _Iterate(v, hv, zero, zero), flat.norm(hv)),
        maximum_iterations=max_iterations,
        parallel_iterations=1,
    )
    # Anew, since rounding errors add up in the combinations.
    iterate = iterate._replace(hv=multiply(iterate.v))
    value = tf.tensordot(iterate.v, iterate.hv, 1)
    converged = _excess(iterate, tolerance, size) <= 0
    return EigenvalueResult(value, converged, i, loss.unflatten(iterate.v))


def _excess(iterate, tolerance, size):
    """Returns how far the residual is above what is tolerated; NaN ends the search.

    `size` is the largest norm of an image, the scale of the rounding errors.
    """
    v, hv, *_ = iterate
    value = tf.tensordot(v, hv, 1)
    rounding = 10 * np.finfo(v.dtype.name).eps * size
    tolerated = _MARGIN * tolerance * tf.abs(value) + rounding
    return flat.norm(hv - value * v) - tolerated


def _improve(iterate, multiply):
    """Returns the iterate of the best `v` in the span, and the new image's norm."""
    v, hv, p, hp = iterate
    r = _remainder(hv, v, p)
    hr = multiply(r)
    basis, images = tf.stack([v, r, p]), tf.stack([hv, hr, hp])
    c = _best_combination(basis, images - tf.tensordot(v, hv, 1) * basis)
    move = c * [0, 1, 1]
    v, hv, p, hp = (
        tf.linalg.matvec(vectors, weights, transpose_a=True)
        for weights in (c, move)
        for vectors in (basis, images)
    )
    overlap = tf.tensordot(v, p, 1)
    p, hp = p - overlap * v, hp - overlap * hv
    v, hv = _normalized(v, hv)
    return _Iterate(v, hv, *_normalized(p, hp)), flat.norm(hr)


def _remainder(r, v, p):
    """Returns what is perpendicular to `v` and `p`, a unit vector or zero."""
    for _ in range(2):  # The first time leaves the rounding errors of a small rest.
        r = flat.unit(r)
        r = r - tf.tensordot(v, r, 1) * v - tf.tensordot(p, r, 1) * p
    return tf.where(tf.norm(r) > 0.5, flat.unit(r), tf.zeros_like(r))


def _best_combination(basis, residuals):
    r"""Returns the unit vector `c` that maximises $c^T B (H - \lambda) B^T c$.

    Args:
        basis: $B$, orthonormal rows, of which some may be zero instead, `[3, n]`.
        residuals: $B (H - \lambda)$, `[3, n]`.

    Returns:
        A tensor `[3]`, NaN where there is none.
    """
    matrix = tf.cast(tf.matmul(basis, residuals, transpose_b=True), tf.float64)
    finite = tf.reduce_all(tf.math.is_finite(matrix))
    # `eigh` raises an error where a matrix is not finite.
    matrix = tf.where(finite, matrix + tf.transpose(matrix), 0.0)
    matrix = tf.math.divide_no_nan(matrix, tf.reduce_max(tf.abs(matrix)))
    # That of `v` is 0, so that zeros would be as good.
    absent = tf.reduce_all(basis == 0, axis=1)
    matrix = matrix - tf.linalg.diag(tf.cast(absent, tf.float64))
    _, vectors = tf.linalg.eigh(matrix)
    c = tf.where(finite, vectors[:, -1], float("nan"))
    return tf.cast(c, basis.dtype)


def _normalized(v, image):
    """Returns a vector and its image, divided by the norm of the vector."""
    norm = tf.norm(v)
    return tf.math.divide_no_nan(v, norm), tf.math.divide_no_nan(image, norm)


def _trace(loss, probes, seed):
    multiply = tf.function(loss.hessian_vector_product, autograph=False)

    def curvature(i):
        shape = tf.shape(loss.zero)
        bits = tf.random.stateless_uniform(shape, [seed, i], 0, 2, tf.int32)
        z = tf.cast(2 * bits - 1, loss.dtype)
        return tf.tensordot(z, multiply(z), 1)

    values = tf.map_fn(
        curvature,
        tf.range(probes),
        fn_output_signature=loss.dtype,
        parallel_iterations=1,
    )
    value = tf.reduce_mean(values)
    variance = tf.reduce_sum(tf.square(values - value)) / (probes - 1)
    return TraceResult(value, tf.sqrt(variance / probes))
