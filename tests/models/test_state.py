"""Whatever `keras.Model` writes once a step is written once, whoever owns it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lrlearn.regularizers import GAM, SAM
from tests.models.conftest import TARGETS, X, sharpness_aware

pytestmark = [pytest.mark.any_backend, pytest.mark.long]

BACKEND = keras.backend.backend()
STEPS = 6
# Radii of 0. Eager JAX is slow, and Keras compiles no model on torch by itself.
HOW = [
    pytest.param(SAM(0.0), {"run_eagerly": BACKEND == "tensorflow"}, id="eager"),
    pytest.param(
        SAM(0.0), {} if BACKEND == "torch" else {"jit_compile": True}, id="compiled"
    ),
    pytest.param(GAM(0.0, 0.0), {"start_fraction": 0.5}, id="late"),
]
in_all_ways = pytest.mark.parametrize("regularizer, mode", HOW)


def _train(make_layer, regularizer, mode, loss="mse"):
    """Returns the layer, the losses and the weights after three epochs."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input(batch_shape=(8, 4))
    layer = make_layer()
    model = keras.Model(inputs, layers.Dense(1)(layer(inputs)))
    if regularizer is None:
        mode = {k: v for k, v in mode.items() if k != "start_fraction"}
    else:
        model, mode = sharpness_aware(model), {**mode, "regularizer": regularizer}
    model.compile(keras.optimizers.SGD(0.01), loss, **mode)
    data = {"x": X[:16], "y": TARGETS[:16], "batch_size": 8, "shuffle": False}
    losses = model.fit(**data, epochs=STEPS // 2, verbose=0).history["loss"]
    weights = [v for v in model.weights if "seed" not in v.path]
    return layer, losses, [ops.convert_to_numpy(v) for v in weights]


def _is_keras(make_layer, regularizer, mode):
    """Checks that training is that of `keras.Model`; returns the layers of both."""
    layer, *expected = _train(make_layer, None, mode)
    other, *received = _train(make_layer, regularizer, mode)
    exact = isinstance(regularizer, SAM)
    for a, b in zip(received, expected, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=0 if exact else 1e-4, atol=1e-6)
    return layer, other


class Noise(layers.Layer):
    """Draws from Keras's global seed generator."""

    def call(self, x):
        return keras.random.dropout(x + keras.random.normal(ops.shape(x)), 0.5)

    def compute_output_shape(self, shape):
        return shape


@in_all_ways
@pytest.mark.skipif(BACKEND == "jax", reason="Keras refuses unseeded noise there")
def test_unseeded_noise(regularizer, mode):
    """New at each step, the same in all passes of one."""
    _is_keras(Noise, regularizer, mode)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras fails on stateful RNNs there")
@pytest.mark.parametrize("regularizer, mode", [HOW[0], HOW[2]])  # XLA takes long
def test_stateful_recurrent_layers(regularizer, mode):
    """Their state goes on from batch to batch; also both ways, and of stacked cells."""

    def make():
        lstm = layers.LSTM(3, stateful=True, return_sequences=True)
        cells = [layers.GRUCell(3), layers.SimpleRNNCell(2)]
        recurrent = [layers.Bidirectional(lstm), layers.RNN(cells, stateful=True)]
        return keras.Sequential([layers.Reshape((4, 1)), *recurrent])

    def states(model):
        _, bidirectional, stacked = model.layers
        both = bidirectional.backward_layer.states, stacked.states
        return [ops.convert_to_numpy(s) for s in keras.tree.flatten(both)]

    for expected, received in zip(
        *map(states, _is_keras(make, regularizer, mode)), strict=True
    ):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-7)
        if BACKEND != "jax":  # where Keras forgets them
            assert np.abs(expected).mean() > 0.01


@in_all_ways
def test_a_weight_that_its_layer_assigns(regularizer, mode):
    """The gradient is that by the new value on TensorFlow and PyTorch."""
    _is_keras(lambda: layers.SpectralNormalization(layers.Dense(3)), regularizer, mode)


class Counter(layers.Layer):
    """Counts its calls in training in variables of all kinds."""

    def __init__(self, others):
        super().__init__()
        # In a function, where no layer tracks them.
        self.others = lambda: others
        self.own = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.own.assign_add(1.0)
        for other in self.others():
            other.assign_add(1)
        return x


class CountingLoss(keras.losses.Loss):
    """Counts in a variable that nothing tracks."""

    def __init__(self):
        super().__init__()
        self.calls = keras.Variable(0.0, trainable=False)

    def call(self, y_true, y_pred):
        self.calls.assign_add(1.0)
        return ops.mean(ops.square(y_true - y_pred), axis=-1)


@in_all_ways
def test_variables_of_layers_losses_and_strangers(regularizer, mode):
    """Each is written once a step."""
    counts = []
    for each in (None, regularizer):
        stranger, loss = keras.Variable(0.0, trainable=False), CountingLoss()
        layer, *_ = _train(lambda s=stranger: Counter([s]), each, mode, loss)
        counts.append([float(v) for v in (layer.own, stranger, loss.calls)])
    assert counts[0] == counts[1] and counts[0][0] == STEPS


def test_attributes_are_those_of_the_plain_pass():
    """A number, and a tensor of the step that metrics may need afterwards."""

    class Remembers(layers.Layer):
        calls = 0

        def call(self, x):
            self.calls, self.last = self.calls + 1, x
            return x

    class Asks(keras.metrics.Metric):
        def __init__(self, layer):
            super().__init__(name="asks")
            self.layer = layer
            self.total = self.add_variable((), "zeros", name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign(ops.sum(self.layer.last))

        def result(self):
            return self.total

    if BACKEND == "jax":
        pytest.skip("Keras's own step leaks a tracer there")
    layer = Remembers()
    inputs = keras.Input((4,))
    model = sharpness_aware(keras.Model(inputs, layers.Dense(1)(layer(inputs))))
    for eager in (True, False):
        model.compile(
            *("sgd", "mse"),
            metrics=[Asks(layer)],
            regularizer=GAM(0.1, 0.1),
            start_fraction=0.5,
            run_eagerly=eager,
        )
        model.fit(X, TARGETS, batch_size=24, epochs=2, verbose=0)
        before = layer.calls
        history = model.fit(X, TARGETS, batch_size=24, epochs=2, verbose=0).history
        np.testing.assert_allclose(history["asks"], X.sum(), rtol=1e-4)
        if eager or BACKEND == "torch":
            assert layer.calls == before + 2
