"""The ready-made networks have the published sizes."""

import keras
import numpy as np
import pytest

from lrlearn.tasks import networks


@pytest.mark.parametrize("name", networks.NAMES)
def test_sizes(name):
    model = networks.build(name, (28, 28, 1))
    mlp = 784 * 20 + 20 + 20 * 10 + 10
    cnn = 9 * 16 + 16 + 9 * 16 * 32 + 32 + 7 * 7 * 32 * 10 + 10
    assert model.count_params() == (cnn if name == "cnn" else mlp)
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize(
    "name, activation",
    [
        ("mlp", lambda z: 1 / (1 + np.exp(-z))),
        ("mlp_relu", lambda z: np.maximum(z, 0)),
        ("mlp_tanh", np.tanh),
    ],
)
def test_mlp_of_scaled_pixels(name, activation):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 17, (5, 8, 8, 1)).astype("uint8")
    model = networks.build(name, (8, 8, 1), largest=16)
    w1, b1, w2, b2 = model.get_weights()
    expected = activation(images.reshape(5, 64) / 16 @ w1 + b1) @ w2 + b2
    np.testing.assert_allclose(model(images), expected, atol=1e-5)
    assert w1.shape == (64, 20)


def test_dense_layers():
    model = networks.dense((2, 3, 1), (5, 4), "tanh", num_classes=3)
    w1, b1, w2, b2, w3, b3 = model.get_weights()
    images = np.random.default_rng(0).integers(0, 256, (7, 2, 3, 1)).astype("uint8")
    hidden = np.tanh(np.tanh(images.reshape(7, 6) / 255 @ w1 + b1) @ w2 + b2)
    np.testing.assert_allclose(model(images), hidden @ w3 + b3, atol=1e-5)
    assert [w1.shape, w2.shape, w3.shape] == [(6, 5), (5, 4), (4, 3)]


def test_strided_convolutions():
    """They are Keras's, of 2x2 pixels with stride 2."""
    model = networks.strided((8, 4, 3), (5, 7))
    layers = keras.layers
    convolutions = keras.Sequential(
        [
            keras.Input((8, 4, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(5, 2, strides=2, activation="relu"),
            layers.Conv2D(7, 2, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    convolutions.set_weights(
        [
            value.reshape(variable.shape)
            for value, variable in zip(
                model.get_weights(), convolutions.weights, strict=True
            )
        ]
    )
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 4, 3)).astype("uint8")
    np.testing.assert_allclose(model(x), convolutions(x), rtol=1e-5, atol=1e-6)
