"""State that only the backend knows is written once a step, too."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lrlearn.regularizers import GAM, SAM
from tests.models.conftest import TARGETS, X, sharpness_aware

BACKEND = keras.backend.backend()
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
pytestmark = pytest.mark.any_backend

HOW = [
    pytest.param(SAM(0.0), {"run_eagerly": True}, id="eager"),
    pytest.param(SAM(0.0), {"jit_compile": BACKEND == "tensorflow"}, id="compiled"),
    pytest.param(GAM(0.0, 0.0), {"start_fraction": 0.5}, id="late"),
]
in_all_ways = pytest.mark.parametrize("regularizer, mode", HOW)


def _train(layer, regularizer, mode, loss="mse"):
    """Returns losses and weights after two epochs of three steps."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input(batch_shape=(8, 4))
    model = keras.Model(inputs, layers.Dense(1)(layer(inputs)))
    if regularizer is None:
        mode = {k: v for k, v in mode.items() if k != "start_fraction"}
    else:
        model, mode = sharpness_aware(model), {**mode, "regularizer": regularizer}
    model.compile(keras.optimizers.SGD(0.01), loss, **mode)
    data = {"x": X, "y": TARGETS, "batch_size": 8, "shuffle": False}
    losses = model.fit(**data, epochs=2, verbose=0).history["loss"]
    return losses, [ops.convert_to_numpy(v) for v in model.trainable_variables]


def _is_keras(make, regularizer, mode):
    """Checks that training is that of `keras.Model`; returns what both made."""
    made = [make(), make()]
    results = [
        _train(layer, each, mode, *loss)
        for (layer, *loss), each in zip(made, (None, regularizer), strict=True)
    ]
    exact = isinstance(regularizer, SAM)
    for expected, received in zip(*results, strict=True):
        for x, y in zip(received, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=0 if exact else 1e-4, atol=1e-6)
    return made


@on_tensorflow
@in_all_ways
def test_variables_of_tensorflow(regularizer, mode):
    """Of a layer, of a loss, of no one; in lists, by handle, as noise's state."""
    import tensorflow as tf

    class Counter(layers.Layer):
        def __init__(self):
            super().__init__()
            self.count = tf.Variable(0.0)
            self.counts = [tf.Variable(0, trainable=False)]
            self.wrapped = keras.Variable(0.0, trainable=False)
            self.generator = tf.random.Generator.from_seed(1)

        def call(self, x):
            self.count.assign_add(1.0)
            self.counts[0].assign_add(1)
            if not tf.executing_eagerly():  # Keras's own, behind its back
                self.wrapped.value.assign_add(1.0)
            return x + self.generator.normal(tf.shape(x))

    def make():
        stranger = tf.Variable(0.0)

        def loss(y_true, y_pred):
            stranger.assign_add(1.0)
            return ops.mean(ops.square(y_true - y_pred), axis=-1)

        loss.counter = stranger
        return Counter(), loss

    counts = [
        [float(v) for v in (*layer.counts, layer.count, layer.wrapped, loss.counter)]
        for layer, loss in _is_keras(make, regularizer, mode)
    ]
    assert counts[0] == counts[1] and counts[0][0] == 6


@on_torch
@in_all_ways
def test_tensors_of_pytorch(regularizer, mode):
    """Attributes that are changed in place, and PyTorch's own random numbers."""
    import torch

    class Counter(layers.Layer):
        def __init__(self):
            super().__init__()
            self.count, self.counts = torch.zeros(()), [torch.zeros(())]

        def call(self, x):
            self.count.add_(1)
            self.counts[0].add_(1)
            return x + torch.randn(1)

    made = _is_keras(lambda: (Counter(),), regularizer, mode)
    counts = [[float(v) for v in (layer.count, *layer.counts)] for (layer,) in made]
    assert counts[0] == counts[1] and counts[0][0] >= 6


@on_torch
@in_all_ways
def test_wrapped_modules_of_pytorch(regularizer, mode):
    """Their parameters, which they read themselves, buffers and dropout."""
    import torch

    def make():
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.3)
        )
        return (layers.TorchModuleWrapper(module, output_shape=(8, 4)),)

    made = _is_keras(make, regularizer, mode)
    buffers = [list(layer.module.buffers()) for (layer,) in made]
    for expected, received in zip(*buffers, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5)
    assert float(buffers[0][-1]) == 6


@on_torch
def test_wrapped_modules_are_perturbed():
    """A radius changes their training."""
    import torch

    weights = []
    for rho in (0.0, 0.5):
        torch.manual_seed(0)
        module = torch.nn.Linear(4, 4)
        layer = layers.TorchModuleWrapper(module, output_shape=(8, 4))
        _train(layer, SAM(rho), {})
        weights.append(module.weight.detach().numpy().copy())
        assert layer.module is module
    assert np.abs(weights[0] - weights[1]).max() > 1e-4
