"""Adaptive sharpness: maxima on quadratics, and its invariance to rescaling."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import PGA, SharpnessEvaluator, model_loss, pga, sharpness
from tests.evaluation import quadratics

pytestmark = pytest.mark.long

SEARCHES = {
    objective: PGA(
        lambda w, a, b: tf.reduce_sum(a * w[0] ** 2) / 2 + tf.tensordot(b, w[0], 1),
        objective,
        adaptive=True,
    )
    for objective in ("loss", "gradient_norm")
}


@pytest.mark.parametrize("spectrum", quadratics.spectra(20))
@pytest.mark.parametrize("objective", SEARCHES)
def test_rises_to_within_one_percent_of_the_maximum(objective, spectrum):
    """With e = |w| e', the curvature along e' is a w^2 and the slope (a w + b)|w|."""
    a = quadratics.spectra(20)[spectrum]
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((2, 20))
    w[:3] = 0.0
    curvature, slope = a * w**2, (a * w + b) * np.abs(w)
    for radius in (1e-3, 0.5, 10.0):
        worst = SEARCHES[objective]([w], radius, a, b)
        e = np.asarray(worst.perturbation[0])
        assert not e[:3].any()
        assert np.linalg.norm(e[3:] / w[3:]) <= radius * (1 + 1e-5)
        if objective == "loss":
            rise = float(worst.increase)
            maximum = quadratics.maximum(curvature, slope, radius)
        else:
            squared = quadratics.maximum(curvature**2, curvature * slope, radius)
            maximum = np.sqrt(slope @ slope + 2 * squared)
            rise = float(worst.value)
            assert worst.value == worst.gradient_norm
        assert 0.99 <= rise / maximum <= 1 + 1e-4


def test_of_a_linear_function():
    """The maximum over |e / w| <= r of g'e is r |w g|, on any list of tensors."""
    params = [tf.constant([[3.0, 0.0]]), tf.constant(-2.0)]
    worst = pga(lambda w: tf.reduce_sum(w[0]) + 2 * w[1], params, 0.1, adaptive=True)
    assert float(worst.increase) == pytest.approx(0.1 * 5.0, rel=1e-5)
    assert float(worst.gradient_norm) == pytest.approx(5.0, rel=1e-5)
    np.testing.assert_allclose(worst.perturbation[0], [[0.1 * 9 / 5, 0.0]], rtol=1e-4)
    np.testing.assert_allclose(worst.perturbation[1], 0.1 * 8 / 5, rtol=1e-4)


@pytest.fixture(scope="module")
def network():
    """A ReLU network without biases, and data."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input([4]),
            keras.layers.Dense(6, "relu", use_bias=False),
            keras.layers.Dense(1, use_bias=False),
        ]
    )
    model.compile(loss="mse")
    x = np.random.default_rng(0).standard_normal((32, 4)).astype("float32")
    return model, x, np.sin(2 * x[:, 0])


def test_is_invariant_to_rescaling_layers(network):
    """w1 a and w2 / a make the same network; plain sharpness tells them apart."""
    model, x, y = network
    w1, w2 = model.get_weights()
    rescaled = [8 * w1, w2 / 8]  # A power of 2, exact in floating point.
    loss_fn, tables = model_loss(model, x, y), {}
    for adaptive in (True, False):
        evaluator = SharpnessEvaluator(loss_fn, steps=5, adaptive=adaptive)
        tables[adaptive] = [evaluator(w, radii=[0.2]) for w in ([w1, w2], rescaled)]
    np.testing.assert_allclose(*tables[True], rtol=1e-4)
    measures = ["increase", "max_gradient_norm", "surrogate_gap"]
    plain, rescaled = (table[measures] for table in tables[False])
    assert (rescaled > 2 * plain).all(axis=None)


def test_surrogate_gap_is_that_of_asam(network):
    """At e = r w^2 g / |w g|, as Kwon et al. (2021) have it, for p = 2 and eta = 0."""
    model, x, y = network
    weights = [tf.convert_to_tensor(w) for w in model.trainable_variables]

    def loss_fn(w):
        return tf.reduce_mean((tf.nn.relu(x @ w[0]) @ w[1] - y[:, None]) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = loss_fn(weights)
    g = tape.gradient(loss, weights)
    norm = tf.linalg.global_norm([w * d for w, d in zip(weights, g, strict=True)])
    at_asam = [w + 0.3 * w**2 * d / norm for w, d in zip(weights, g, strict=True)]
    (row,) = sharpness(model, x, y, (0.3,), adaptive=True, steps=1).itertuples()
    assert row.clean_loss == pytest.approx(float(loss), rel=1e-5)
    expected = float(loss_fn(at_asam) - loss)
    assert row.surrogate_gap == pytest.approx(expected, rel=1e-4)


def test_xla_agrees():
    """The same maximum, found from a start that may differ."""

    def loss_fn(w):
        return tf.reduce_sum([0.5, 2.5, -1.0] * w[0] ** 2)

    search = PGA(loss_fn, steps=5, adaptive=True)
    w = [tf.constant([1.0, -2.0, 0.5])]
    compiled = tf.function(lambda: search(w, 0.5).increase, jit_compile=True)
    assert float(compiled()) == pytest.approx(float(search(w, 0.5).increase), rel=1e-3)


def test_zero_weights_are_not_perturbed():
    """All maxima are the value there, and all gradients by |w| e' are 0."""
    evaluator = SharpnessEvaluator(lambda w: tf.reduce_sum(w[0]) + 1.0, adaptive=True)
    (row,) = evaluator([tf.zeros(3)], radii=[0.1]).to_dict("records")
    assert row == {
        "radius": 0.1,
        "clean_loss": 1.0,
        "max_loss": 1.0,
        "increase": 0.0,
        "max_gradient_norm": 0.0,
        "surrogate_gap": 0.0,
    }


def test_excludes_relative(network):
    """The radius is relative already."""
    with pytest.raises(ValueError, match="`relative` and `adaptive` exclude each"):
        sharpness(*network, relative=True, adaptive=True)
