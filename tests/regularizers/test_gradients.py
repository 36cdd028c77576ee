import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lrlearn.regularizers import gradient_norm, value_and_gradients
from tests.regularizers.problems import MODES, Convex, unit, values


def test_value_and_gradients():
    problem = Convex()
    loss, g = value_and_gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(loss, problem.loss(problem.w), rtol=1e-12)
    np.testing.assert_allclose(values(g), problem.gradient(problem.w), rtol=1e-12)


def test_unused_parameters_have_zero_gradients():
    params = [ops.array([1.0]), ops.array([[2.0, 3.0]])]
    _, g = value_and_gradients(lambda p: ops.sum(p[0]), params)
    np.testing.assert_array_equal(values(g), [1.0, 0.0, 0.0])


def test_other_backends_raise(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "numpy")
    with pytest.raises(NotImplementedError, match="Received: KERAS_BACKEND=numpy"):
        value_and_gradients(ops.sum, [ops.array([1.0])])


@pytest.mark.parametrize("mode", MODES)
def test_gradient_of_the_gradient_norm_is_a_hessian_vector_product(mode):
    problem = Convex()

    @MODES[mode]
    def norm_and_gradients(params):
        return value_and_gradients(lambda w: gradient_norm(problem.loss_fn, w), params)

    norm, f = norm_and_gradients(problem.params())
    g = problem.gradient(problem.w)
    np.testing.assert_allclose(norm, np.linalg.norm(g), rtol=1e-12)
    np.testing.assert_allclose(
        values(f), problem.hessian(problem.w) @ unit(g), rtol=1e-10
    )


def test_sparse_gradients_are_dense():
    def loss_fn(params):
        return ops.sum(tf.gather(params[0], [0, 0, 2]) ** 2)

    table = [ops.array([3.0, 5.0, 4.0])]
    _, g = value_and_gradients(loss_fn, table)
    np.testing.assert_array_equal(g[0], [12.0, 0.0, 8.0])
    _, f = value_and_gradients(lambda w: gradient_norm(loss_fn, w), table)
    expected = [4.0, 0.0, 2.0] * unit(np.array([12.0, 0.0, 8.0]))
    np.testing.assert_allclose(f[0], expected, rtol=1e-6)
