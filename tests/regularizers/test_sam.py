import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lrlearn.regularizers import SAM, RhoSchedule
from tests.regularizers.problems import Convex, ones, quadratic, unit, values


def test_check_values():
    loss, field = SAM(rho=0.1).gradients(quadratic, ones())
    assert float(loss) == 5.5
    np.testing.assert_allclose(values(field), [1.0099503719, 10.9950371902], atol=1e-9)
    penalty = SAM(rho=0.1).penalty(quadratic, ones())
    np.testing.assert_allclose(penalty, 1.0545420176, atol=1e-9)


@pytest.mark.parametrize("rho", [0.01, 0.5])
def test_equals_the_formula(rho):
    problem = Convex()
    w = problem.w
    e = rho * unit(problem.gradient(w))
    _, field = SAM(rho).gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(values(field), problem.gradient(w + e), rtol=1e-10)
    penalty = SAM(rho).penalty(problem.loss_fn, problem.params())
    np.testing.assert_allclose(penalty, problem.loss(w + e) - problem.loss(w))


def test_zero_rho_is_the_plain_gradient():
    problem = Convex()
    _, field = SAM(rho=0).gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(values(field), problem.gradient(problem.w), rtol=1e-12)


@pytest.mark.parametrize("relative", [False, True])
def test_perturbation_is_a_constant(relative):
    problem = Convex()
    radius = 0.1 * np.linalg.norm(problem.w) if relative else 0.1
    e = radius * unit(problem.gradient(problem.w))
    params = problem.params()
    with tf.GradientTape() as tape:
        tape.watch(params)
        _, field = SAM(0.1, relative).gradients(problem.loss_fn, params)
        total = sum(ops.sum(x) for x in field)
    np.testing.assert_allclose(
        values(tape.gradient(total, params)),
        problem.hessian(problem.w + e) @ np.ones(6),
        rtol=1e-10,
    )


@pytest.mark.parametrize("sam", [SAM(0.1), SAM(0.1, relative=True)])
def test_field_is_the_gradient_of_loss_plus_penalty(sam):
    problem, params = Convex(), Convex().params()
    with tf.GradientTape() as tape:
        tape.watch(params)
        total = problem.loss_fn(params) + sam.penalty(problem.loss_fn, params)
    _, field = sam.gradients(problem.loss_fn, params)
    np.testing.assert_allclose(
        values(tape.gradient(total, params)), values(field), rtol=1e-10
    )


def test_schedule_needs_a_learning_rate():
    sam = SAM(rho=RhoSchedule(0.0, 0.1))
    for method in (sam.gradients, sam.penalty):
        with pytest.raises(ValueError, match="call `resolve` first"):
            method(quadratic, ones())


def test_schedules_of_keras_follow_the_step():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.2, 10, end_learning_rate=0)
    sam = SAM(rho=schedule).resolve(learning_rate=7.0, step=5)
    _, received = sam.gradients(quadratic, ones())
    _, expected = SAM(rho=0.1).gradients(quadratic, ones())
    np.testing.assert_allclose(values(received), values(expected), rtol=1e-6)


def test_scheduled_config_round_trip():
    schedule = keras.optimizers.schedules.CosineDecay(0.2, 10)
    config = json.loads(json.dumps(SAM(rho=schedule).get_config()))
    assert SAM.from_config(config).get_config() == config
