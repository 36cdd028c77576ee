"""Curvature of a loss: the top eigenvalue and the trace of its Hessian."""

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from lrlearn.evaluation import flat
from lrlearn.evaluation.power_iteration import power_iteration
from lrlearn.evaluation.validation import check_count, warn_if_nan

_CAUSE = "loss, its gradient or a product with its Hessian"


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
    $|\lambda|$, or drowns in the rounding errors of $H$, those of the coarsest type in
    which it is computed. Some eigenvalue is that close
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
        An `EigenvalueResult`. Its value and eigenvector are NaN, and a warning says so
        if called eagerly, if the loss, its gradient or a product with its Hessian is
        not finite at the parameters.

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
    max_iterations = check_count("max_iterations", max_iterations)
    search = functools.partial(_search, loss_fn, tolerance, max_iterations)
    search = tf.function(search, autograph=False)
    result = search(flat.as_tensors(params), tf.constant(seed, tf.int32))
    warn_if_nan(result.value, _CAUSE)
    return result


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
        A `TraceResult`. Both are NaN, and a warning says so if called eagerly, if the
        loss, its gradient or a product with its Hessian is not finite at the
        parameters.

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
    probes = check_count("probes", probes)
    estimate = functools.partial(_estimate_trace, loss_fn, probes)
    estimate = tf.function(estimate, autograph=False)
    result = estimate(flat.as_tensors(params), tf.constant(seed, tf.int32))
    warn_if_nan(result.value, _CAUSE)
    if probes == 1:  # Out of the graph, in which `enable_check_numerics` would object.
        nan = tf.constant(float("nan"), result.value.dtype)
        result = result._replace(standard_error=nan)
    return result


def _search(loss_fn, tolerance, max_iterations, params, seed):
    loss = flat.Function(loss_fn, params)
    multiply = tf.function(loss.hessian_vector_product, autograph=False)
    shape = tf.shape(loss.zero)
    defect = loss.defect(*loss.value_and_gradient(loss.zero))
    v = flat.unit(tf.random.stateless_normal(shape, [seed, 0], dtype=loss.dtype))
    value, converged, iterations, v = power_iteration(
        multiply, v, tolerance, max_iterations, loss.epsilon
    )
    defect += flat.defect(value)
    vector = loss.unflatten(v + defect)
    converged &= defect == 0
    return EigenvalueResult(value + defect, converged, iterations, vector)


def _estimate_trace(loss_fn, probes, params, seed):
    loss = flat.Function(loss_fn, params)
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
    defect = loss.defect(*loss.value_and_gradient(loss.zero)) + flat.defect(values)
    value = tf.reduce_mean(values) + defect
    variance = tf.reduce_sum(tf.square(values - value)) / max(probes - 1, 1)
    return TraceResult(value, tf.sqrt(variance / probes))
