"""Penalties from functions: exact fields, and files without code."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn import SharpnessAwareModel
from lrlearn.regularizers import GAM, L2, SAM, Penalty, gradient_norm
from tests.regularizers.problems import Convex, values


@keras.saving.register_keras_serializable(package="tests_penalty")
def half_squares(loss_fn, params):
    return 0.5 * sum(ops.sum(w**2) for w in params)


def test_equals_l2():
    problem = Convex()
    one, other = (
        each.gradients(problem.loss_fn, problem.params())[1]
        for each in (L2(0.3), Penalty(half_squares, 0.3))
    )
    np.testing.assert_allclose(values(one), values(other), rtol=1e-12)


def test_may_use_gradients_of_the_loss():
    """By Hessian-vector products: those of GAM with a radius of its own of 0."""
    problem = Convex()
    g, received = (
        values(each.gradients(problem.loss_fn, problem.params())[1])
        for each in (SAM(0.0), Penalty(gradient_norm, 0.05))
    )
    gam = GAM(rho=1e-9, alpha=0.05e9, variant="hvp")
    expected = values(gam.gradients(problem.loss_fn, problem.params())[1])
    assert np.abs(received - g).max() > 0.01
    np.testing.assert_allclose(received, expected, rtol=1e-6)


def test_what_is_stopped_is_constant():
    """The field of SAM's penalty is the difference of its field and the gradient."""

    def penalty(loss_fn, params):
        _, g = SAM(0.0).gradients(loss_fn, params)
        w = SAM(0.1).perturb(params, [ops.stop_gradient(x) for x in g])
        return loss_fn(w) - loss_fn(params)

    problem = Convex()
    received, expected = (
        values(each.gradients(problem.loss_fn, problem.params())[1])
        for each in (Penalty(penalty), SAM(0.1))
    )
    np.testing.assert_allclose(received, expected, rtol=1e-12)


def test_configs_tell_functions_apart():
    functions = [half_squares, gradient_norm, lambda f, w: 0.0, lambda f, w: 1.0]
    functions.append(functools.partial(gradient_norm))
    names = [Penalty(function).get_config()["function"] for function in functions]
    assert names[0] == "tests_penalty>half_squares" and len(set(names)) == 5


def test_a_scalar_is_needed():
    penalty = Penalty(lambda loss_fn, params: ops.abs(params[0]))
    for use in (penalty.penalty, penalty.gradients):
        with pytest.raises(ValueError, match="must return a scalar. Received: .* sh"):
            use(lambda w: ops.sum(w[0]), [ops.ones(2)])


def test_only_registered_functions_come_from_files(tmp_path):
    """Others are refused in one line; the weights can be loaded all the same."""
    x = np.ones((4, 3), "float32")
    for function in (half_squares, lambda f, w: 0.0):
        inputs = keras.Input((3,))
        model = SharpnessAwareModel(inputs, keras.layers.Dense(1)(inputs))
        model.compile("sgd", "mse", regularizer=Penalty(function, 0.1))
        model.fit(x, x[:, :1], verbose=0)
        model.save(tmp_path / f"{function.__name__}.keras")
    copy = keras.models.load_model(tmp_path / "half_squares.keras")
    assert copy.regularizer.function is half_squares
    assert copy.regularizer.weight == 0.1
    with pytest.raises(ValueError, match="`function` must be .* registered by .*la"):
        Penalty.from_config(Penalty(lambda f, w: 0.0).get_config())
    path = tmp_path / "<lambda>.keras"
    assert b"co_code" not in path.read_bytes()
    keras.models.load_model(path, compile=False)


def test_no_function():
    with pytest.raises(ValueError, match="`function` must be a function .*: 0.1"):
        Penalty(0.1)
