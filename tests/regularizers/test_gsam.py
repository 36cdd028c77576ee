import json

import keras
import numpy as np
import pytest

from lrlearn.regularizers import GSAM, SAM, RhoSchedule
from tests.regularizers.problems import MODES, Convex, ones, quadratic, unit, values


def test_check_values():
    gsam = GSAM(rho=0.1, alpha=0.4)
    _, field = gsam.gradients(quadratic, ones())
    np.testing.assert_allclose(values(field), [0.9776434052, 10.9980047503], atol=1e-9)
    # L_p + alpha * gap - L = (1 + alpha) * gap
    penalty = gsam.penalty(quadratic, ones())
    np.testing.assert_allclose(penalty, 1.4 * 1.0545420176, atol=1e-9)


def test_equals_the_formula():
    problem = Convex()
    w, rho, alpha = problem.w, 0.3, 0.7
    g = problem.gradient(w)
    g_p = problem.gradient(w + rho * unit(g))
    g_perp = g - (g @ g_p) / (g_p @ g_p) * g_p
    _, field = GSAM(rho, alpha).gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(values(field), g_p - alpha * g_perp, rtol=1e-10)


def test_without_alpha_is_sam():
    problem = Convex()
    _, expected = SAM(rho=0.1).gradients(problem.loss_fn, problem.params())
    _, received = GSAM(0.1, alpha=0).gradients(problem.loss_fn, problem.params())
    np.testing.assert_array_equal(values(received), values(expected))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("learning_rate, rho", [(0.0, 0.0), (0.005, 0.1), (0.01, 0.3)])
def test_follows_the_learning_rate(mode, learning_rate, rho):
    problem = Convex()
    # Linear through (0.0025, 0) and (0.0075, 0.2); below zero at 0, where it is cut.
    gsam = GSAM(rho=RhoSchedule(0.0, 0.2, lr_min=0.0025, lr_max=0.0075))

    @MODES[mode]
    def gradients(params, learning_rate):
        return gsam.resolve(learning_rate).gradients(problem.loss_fn, params)[1]

    rate = keras.ops.convert_to_tensor(learning_rate, "float64")
    _, expected = GSAM(rho).gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(
        values(gradients(problem.params(), rate)), values(expected), rtol=1e-10
    )
    assert isinstance(gsam.rho, RhoSchedule)


def test_scheduled_config_round_trip():
    gsam = GSAM(rho=RhoSchedule(0.01, 0.2, 0.0, 0.1), alpha=0.3)
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(gsam)))
    restored = keras.saving.deserialize_keras_object(serialized)
    assert restored.get_config() == gsam.get_config()
    assert restored.rho.get_config() == gsam.rho.get_config()
