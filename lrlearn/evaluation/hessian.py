"""Curvature of a loss: the top eigenvalue and the trace of its Hessian."""

from typing import Any, NamedTuple

import tensorflow as tf

from lrlearn.checks import check_count, check_positive
from lrlearn.evaluation import flat
from lrlearn.evaluation.measured_loss import model_loss
from lrlearn.evaluation.power_iteration import power_iteration
from lrlearn.evaluation.validation import warn_if_nan
from lrlearn.models.training_loss import parameters
from lrlearn.vectors import unit

_CAUSE = "loss, its gradient or a product with its Hessian"


class EigenvalueResult(NamedTuple):
    """The top eigenvalue of a Hessian.

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
    """The trace of a Hessian, two scalars.

    Attributes:
        value: The estimate of the trace.
        standard_error: Its standard error; NaN for a single probe.
    """

    value: Any
    standard_error: Any


class Hessian:
    r"""The Hessian $H$ of a loss at some parameters, known by its products $Hv$.

    Called eagerly, a method compiles one graph; called in a `tf.function`, it becomes
    part of that graph. If the loss, its gradient or a product with its Hessian is not
    finite at the parameters, the results are NaN, and eagerly a warning is given.

    Args:
        loss_fn: Twice differentiable function of a list of tensors that returns a
            scalar; for a Keras model see `model_loss`.
        params: List of tensors or variables.

    Raises:
        ValueError: If `params` is empty.

    Example:
        >>> import tensorflow as tf
        >>> import lrlearn
        >>> def loss_fn(params):
        ...     return tf.reduce_sum(tf.square(params[0]) * [0.5, -4.0])
        >>> hessian = lrlearn.evaluation.Hessian(loss_fn, [tf.zeros(2)])
        >>> top = hessian.top_eigenvalue()
        >>> round(float(top.value), 3), bool(top.converged)
        (1.0, True)
        >>> trace = hessian.trace(probes=5)
        >>> float(trace.value), float(trace.standard_error)
        (-7.0, 0.0)
    """

    def __init__(self, loss_fn, params):
        self._loss_fn, self._params = loss_fn, flat.as_tensors(params)

    def top_eigenvalue(
        self, tolerance=1e-3, max_iterations=100, seed=0
    ) -> EigenvalueResult:
        r"""Returns the algebraically largest eigenvalue.

        Power iteration takes $v$ to $Hv$. This takes $v$ to the unit vector of largest
        $\lambda = v^T H v$ in the span of $v$, $Hv$ and the previous move, which costs
        one Hessian-vector product too. So $\lambda$ never falls, and a negative
        eigenvalue of larger magnitude does not attract $v$. It converges like
        conjugate gradients.

        It has converged if $\|Hv - \lambda v\|$ is at most a quarter of `tolerance`
        times $|\lambda|$, or within the rounding errors of the coarsest type in which
        $H$ is computed. Some eigenvalue is then that close to $\lambda$. It is nearly
        always the top one, which is never below $\lambda$.

        Args:
            tolerance: Largest relative error, positive. Defaults to `1e-3`.
            max_iterations: Most iterations, of one Hessian-vector product each.
                Defaults to `100`.
            seed: Integer seed of the first $v$. Defaults to `0`.

        Raises:
            ValueError: If an argument is out of its range.

        Reference:
            [Knyazev, 2001](https://doi.org/10.1137/S1064827500366124), algorithm 5.1,
            for one vector and without preconditioner. For neural networks:
            [Yao et al., 2020](https://arxiv.org/abs/1912.07145).
        """
        check_positive("tolerance", tolerance)
        max_iterations = check_count("max_iterations", max_iterations)
        result = self._run(_search, seed, tolerance, max_iterations)
        warn_if_nan(result.value, _CAUSE)
        return result

    def trace(self, probes=100, seed=0) -> TraceResult:
        r"""Returns Hutchinson's estimate of the trace.

        It is the mean over random $z \in \{-1, 1\}^n$ of $z^T H z$: unbiased, exact if
        $H$ is diagonal, and of variance $2 \sum_{i \ne j} H_{ij}^2$ for one $z$.

        Args:
            probes: Number of $z$, of one Hessian-vector product each. Defaults to
                `100`.
            seed: Integer seed of the probes. Defaults to `0`.

        Raises:
            ValueError: If `probes` is not a positive integer.

        Reference:
            Hutchinson, 1990, A stochastic estimator of the trace of the influence
            matrix. For neural networks:
            [Yao et al., 2020](https://arxiv.org/abs/1912.07145).
        """
        probes = check_count("probes", probes)
        result = self._run(_estimate_trace, seed, probes)
        warn_if_nan(result.value, _CAUSE)
        if probes == 1:  # Out of the graph: `enable_check_numerics` would object.
            nan = tf.constant(float("nan"), result.value.dtype)
            result = result._replace(standard_error=nan)
        return result

    def _run(self, function, seed, *settings):
        """Returns `function(loss, multiply, defect, seed, *settings)` from a graph."""

        def graph(params, seed):
            loss = flat.Function(self._loss_fn, params)
            multiply = tf.function(loss.hessian_vector_product, autograph=False)
            *_, defect = loss.start()
            return function(loss, multiply, defect, seed, *settings)

        graph = tf.function(graph, autograph=False)
        return graph(self._params, tf.constant(seed, tf.int32))


def top_eigenvalue(
    model,
    x,
    y=None,
    *,
    tolerance=1e-3,
    max_iterations=100,
    seed=0,
    loss=None,
    sample_weight=None,
) -> EigenvalueResult:
    """Returns the largest eigenvalue of the Hessian of a Keras model's loss.

    Args:
        model: A built Keras model.
        x: Inputs, or a finite data set of batches; see `sharpness`.
        y: Targets, unless `x` is a data set. Defaults to `None`.
        tolerance: Largest relative error, positive. Defaults to `1e-3`.
        max_iterations: Most iterations, see `Hessian.top_eigenvalue`. Defaults to
            `100`.
        seed: Integer seed. Defaults to `0`.
        loss: A loss other than the compiled one, see `sharpness`. Defaults to `None`.
        sample_weight: Weights of the examples, or `None`. Defaults to `None`.

    Raises:
        ValueError: If `sharpness` would not take the model or the data, or an argument
            is not one of these.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import lrlearn
        >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> x, y = np.eye(2), np.zeros(2)
        >>> top = lrlearn.evaluation.top_eigenvalue(model, x, y)
        >>> round(float(top.value), 3)
        3.0
    """
    hessian = Hessian(model_loss(model, x, y, loss, sample_weight), parameters(model))
    return hessian.top_eigenvalue(tolerance, max_iterations, seed)


def hessian_trace(
    model, x, y=None, *, probes=100, seed=0, loss=None, sample_weight=None
) -> TraceResult:
    """Returns an estimate of the trace of the Hessian of a Keras model's loss.

    Args:
        model: A built Keras model.
        x: Inputs, or a finite data set of batches; see `sharpness`.
        y: Targets, unless `x` is a data set. Defaults to `None`.
        probes: Number of random probes, see `Hessian.trace`. Defaults to `100`.
        seed: Integer seed. Defaults to `0`.
        loss: A loss other than the compiled one, see `sharpness`. Defaults to `None`.
        sample_weight: Weights of the examples, or `None`. Defaults to `None`.

    Raises:
        ValueError: If `sharpness` would not take the model or the data, or an argument
            is not one of these.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import lrlearn
        >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> trace = lrlearn.evaluation.hessian_trace(model, np.eye(2), np.zeros(2))
        >>> abs(float(trace.value) - 4) < 5 * float(trace.standard_error)
        True
    """
    hessian = Hessian(model_loss(model, x, y, loss, sample_weight), parameters(model))
    return hessian.trace(probes, seed)


def _search(loss, multiply, defect, seed, tolerance, max_iterations):
    shape = tf.shape(loss.zero)
    v = unit(tf.random.stateless_normal(shape, [seed, 0], dtype=loss.dtype))
    value, converged, iterations, v = power_iteration(
        multiply, v, tolerance, max_iterations, loss.epsilon
    )
    defect += flat.defect(value)
    vector = loss.unflatten(v + defect)
    converged &= defect == 0
    return EigenvalueResult(value + defect, converged, iterations, vector)


def _estimate_trace(loss, multiply, defect, seed, probes):
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
    defect += flat.defect(values)
    value = tf.reduce_mean(values) + defect
    variance = tf.reduce_sum(tf.square(values - value)) / max(probes - 1, 1)
    return TraceResult(value, tf.sqrt(variance / probes))
