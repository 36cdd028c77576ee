"""Top eigenvalues and traces are those of numpy, in eager mode, graphs and XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import (
    Hessian,
    hessian_trace,
    model_loss,
    top_eigenvalue,
)

N = 40
SPECTRA = {
    "one": np.array([3.0]),
    "one, negative": np.array([-3.0]),
    "positive": np.linspace(0.1, 5.0, N),
    "dominant negative": np.linspace(-10.0, 1.0, N),
    "of both signs alike": np.where(np.arange(N) % 2, 1.0, -1.0),
    "negative": -np.linspace(1.0, 5.0, N),
    "repeated top": np.append(np.linspace(-3.0, 1.0, N - 2), [2.0, 2.0]),
    "equal": np.full(N, 7.0),
    "rank 1": np.eye(N)[0],
    "zero": np.zeros(N),
    "badly scaled": np.geomspace(1e-8, 1e8, N),
    "huge": 1e30 * np.linspace(1.0, 2.0, N),
    "tiny": 1e-25 * np.linspace(1.0, 2.0, N),
}


def dense(eigenvalues):
    """Returns a symmetric matrix with these eigenvalues."""
    n = len(eigenvalues)
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))
    return (q * eigenvalues) @ q.T


def quadratic(matrix):
    """Returns w'Aw/2 + sum(w), a function of two tensors that w is cut into."""
    matrix = tf.convert_to_tensor(matrix)

    def loss_fn(params):
        w = tf.concat([tf.reshape(p, [-1]) for p in params], axis=0)
        return tf.tensordot(w, tf.linalg.matvec(matrix, w), 1) / 2 + tf.reduce_sum(w)

    return loss_fn


def zeros(n, dtype):
    return [np.zeros([n // 2, 1], dtype), np.zeros([n - n // 2], dtype)]


@tf.function
def search(matrix, params):
    """One graph for all matrices of a size."""
    return Hessian(quadratic(matrix), params).top_eigenvalue()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_top_eigenvalue_is_the_algebraically_largest(spectrum, dtype):
    """To within the tolerance of numpy's, with its eigenvector, and it says so."""
    matrix = dense(SPECTRA[spectrum]).astype(dtype)
    n = len(matrix)
    top = search(tf.constant(matrix), zeros(n, dtype))
    expected = np.linalg.eigvalsh(matrix.astype(float))[-1]
    assert bool(top.converged) and top.iterations <= 100
    assert float(top.value) == pytest.approx(expected, rel=1e-3)
    assert [v.shape for v in top.eigenvector] == [(n // 2, 1), (n - n // 2,)]
    v = np.concatenate([np.ravel(part) for part in top.eigenvector]).astype(float)
    assert np.linalg.norm(v) == pytest.approx(1.0, rel=1e-5)
    residual = np.linalg.norm(matrix.astype(float) @ v - expected * v)
    assert residual <= 1e-3 * np.abs(expected)


def test_top_eigenvalue_of_a_negative_semidefinite_hessian_is_zero():
    """Up to rounding errors, and it counts as converged."""
    matrix = dense(-np.eye(N)[0]).astype("float32")
    top = Hessian(quadratic(matrix), zeros(N, "float32")).top_eigenvalue()
    assert abs(float(top.value)) < 1e-6 and bool(top.converged)


def test_top_eigenvalue_says_where_iterations_ran_out():
    """Few iterations give a lower bound; a looser tolerance needs fewer."""
    matrix = dense(SPECTRA["dominant negative"])
    loss_fn, params = quadratic(matrix), zeros(N, "float64")
    short = Hessian(loss_fn, params).top_eigenvalue(max_iterations=4)
    assert not bool(short.converged) and short.iterations == 4
    assert float(short.value) < 1.0 - 1e-3
    loose, tight = (
        Hessian(loss_fn, params).top_eigenvalue(tolerance=t) for t in (0.3, 1e-6)
    )
    assert bool(loose.converged) and 0.7 < loose.value < 1.0
    assert loose.iterations < tight.iterations
    assert float(tight.value) == pytest.approx(1.0, rel=1e-6)


def test_trace_of_a_diagonal_hessian_is_exact():
    """Every probe gives it, so the standard error is 0."""
    matrix = np.diag(np.linspace(-10.0, 1.0, N)).astype("float32")
    trace = Hessian(quadratic(matrix), zeros(N, "float32")).trace(probes=3)
    assert float(trace.value) == pytest.approx(np.trace(matrix), rel=1e-5)
    assert float(trace.standard_error) == pytest.approx(0.0, abs=1e-4)


def test_trace_has_the_standard_error_of_hutchinson():
    """The variance of z'Hz is 2 sum_{i != j} H_ij^2, and seeds differ by as much."""
    matrix = dense(SPECTRA["dominant negative"])
    loss_fn, params = quadratic(matrix), zeros(N, "float64")
    off_diagonal = matrix - np.diag(np.diag(matrix))
    error = np.sqrt(2 * np.sum(off_diagonal**2) / 400)
    traces = [Hessian(loss_fn, params).trace(probes=400, seed=s) for s in range(3)]
    for trace in traces:
        assert float(trace.value) == pytest.approx(np.trace(matrix), abs=4 * error)
        assert float(trace.standard_error) == pytest.approx(error, rel=0.2)
    assert len({float(trace.value) for trace in traces}) == 3


def test_a_single_probe_has_no_standard_error():
    """It is NaN."""
    trace = Hessian(quadratic(np.eye(3)), zeros(3, "float64")).trace(probes=1)
    assert float(trace.value) == 3.0 and np.isnan(trace.standard_error)


@pytest.fixture(scope="module")
def model():
    """A small network, and data with a loss."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input([3]), *layers])
    x = np.random.default_rng(0).standard_normal((16, 3)).astype("float32")
    return model, model_loss(model, x, x[:, 0] ** 2, "mse")


@pytest.fixture(scope="module")
def hessian(model):
    """Its Hessian, by TensorFlow's Jacobians."""
    model, loss_fn = model
    shapes = [v.shape for v in model.trainable_variables]
    w = tf.concat([tf.reshape(v, [-1]) for v in model.trainable_variables], axis=0)
    with tf.GradientTape() as outer:
        outer.watch(w)
        with tf.GradientTape() as inner:
            inner.watch(w)
            parts = tf.split(w, [s[0] * (s[1] if len(s) > 1 else 1) for s in shapes])
            params = [tf.reshape(p, s) for p, s in zip(parts, shapes, strict=True)]
            loss = loss_fn(params)
        gradient = inner.gradient(loss, w)
    return outer.jacobian(gradient, w).numpy()


def _eagerly(function):
    tf.config.run_functions_eagerly(True)
    try:
        return function()
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize(
    "run",
    [
        lambda function: function(),
        _eagerly,
        lambda function: tf.function(function)(),
        lambda function: tf.function(function, jit_compile=True)(),
    ],
    ids=["called", "eager", "graph", "XLA"],
)
def test_a_network(model, hessian, run):
    """All ways to run agree with the Jacobian of the gradient."""
    model, loss_fn = model
    weights = model.trainable_variables
    top = run(lambda: Hessian(loss_fn, weights).top_eigenvalue())
    assert bool(top.converged)
    expected = np.linalg.eigvalsh(hessian)[-1]
    assert float(top.value) == pytest.approx(expected, rel=1e-3)
    trace = run(lambda: Hessian(loss_fn, weights).trace(probes=10))
    n = len(hessian)
    bits = [
        tf.random.stateless_uniform([n], [0, i], 0, 2, tf.int32).numpy()
        for i in range(10)
    ]
    values = [z @ hessian @ z for z in 2 * np.array(bits) - 1]
    assert float(trace.value) == pytest.approx(np.mean(values), rel=1e-4)
    error = np.std(values, ddof=1) / 10**0.5
    assert float(trace.standard_error) == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_hessian_that_is_not_finite(factor):
    """No crash, and no number that could be taken for a result."""
    loss_fn, params = lambda w: factor * tf.reduce_sum(w[0] ** 2), [tf.ones(3)]
    with pytest.warns(UserWarning, match="there, are not finite"):
        top = Hessian(loss_fn, params).top_eigenvalue()
    with pytest.warns(UserWarning, match="there, are not finite"):
        trace = Hessian(loss_fn, params).trace(2)
    assert np.isnan([top.value, *trace, *top.eigenvector[0]]).all()
    assert not bool(top.converged)


def test_a_hessian_that_is_not_symmetric():
    """As where gradients are custom: its symmetric part counts, and none converges."""

    @tf.custom_gradient
    def loss_fn(w):
        return tf.reduce_sum(
            w
        ), lambda up: up * tf.linalg.matvec([[1.0, 9], [-9, 1]], w)

    top = Hessian(lambda w: loss_fn(w[0]), [tf.zeros(2)]).top_eigenvalue()
    assert float(top.value) == pytest.approx(1.0, rel=1e-5) and not bool(top.converged)


def test_products_that_overflow_on_the_way():
    """Finite for the first vector, but not for the eigenvector."""
    matrix = np.full([N, N], 3e37, "float32")
    with pytest.warns(UserWarning, match="a product with its Hessian there, are not"):
        top = Hessian(quadratic(matrix), zeros(N, "float32")).top_eigenvalue()
    assert np.isnan(top.value) and not bool(top.converged)


@pytest.mark.parametrize(
    "loss_fn", [lambda w: tf.constant(1.0), lambda w: tf.reduce_sum(w[0])]
)
def test_no_curvature(loss_fn):
    """Constants and linear functions have Hessian 0."""
    top = Hessian(loss_fn, [tf.ones(3)]).top_eigenvalue()
    assert float(top.value) == 0.0 and bool(top.converged)
    trace = Hessian(loss_fn, [tf.ones(3)]).trace(2)
    assert float(trace.value) == 0.0 and float(trace.standard_error) == 0.0


def test_counts_may_be_of_numpy():
    """As they come out of an array."""
    loss_fn, params = quadratic(np.eye(3)), zeros(3, "float64")
    top = Hessian(loss_fn, params).top_eigenvalue(max_iterations=np.int64(5))
    assert float(top.value) == pytest.approx(1.0)
    assert float(Hessian(loss_fn, params).trace(probes=np.int64(2)).value) == 3.0


def test_functions_of_a_model_are_those_of_its_loss(model):
    """Whether the loss is given or compiled."""
    model, loss_fn = model
    x = np.random.default_rng(0).standard_normal((16, 3)).astype("float32")
    data = model, x, x[:, 0] ** 2
    hessian = Hessian(loss_fn, model.trainable_variables)
    top = top_eigenvalue(*data, loss="mse", seed=1)
    assert float(top.value) == float(hessian.top_eigenvalue(seed=1).value)
    trace = hessian_trace(*data, loss="mse", probes=5, seed=1)
    assert trace == hessian.trace(probes=5, seed=1)
    weights = np.linspace(0, 1, 16)
    weighted = hessian_trace(*data, loss="mse", probes=5, sample_weight=weights)
    assert weighted.value != hessian.trace(probes=5).value


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("top_eigenvalue", {"tolerance": 0.0}, "`tolerance` must be a pos.*=0.0"),
        (
            "top_eigenvalue",
            {"tolerance": float("nan")},
            "`tolerance` must be a positive",
        ),
        ("top_eigenvalue", {"max_iterations": 0}, "`max_iterations` must be an int"),
        ("trace", {"probes": 0}, "`probes` must be an integer >= 1. Rec.*=0"),
        ("trace", {"probes": True}, "`probes` must be an integer .*=True"),
    ],
)
def test_arguments_must_be_valid(method, arguments, message):
    """One line says the rule."""
    hessian = Hessian(lambda w: tf.reduce_sum(w[0]), [tf.zeros(2)])
    with pytest.raises(ValueError, match=message):
        getattr(hessian, method)(**arguments)


def test_there_must_be_parameters():
    """The Hessian of nothing is none."""
    with pytest.raises(ValueError, match="`params` must be a list of at least one"):
        Hessian(lambda w: tf.constant(0.0), [])
