"""A Task's loss is what `compile` makes of it, and its state all that a call writes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from lrlearn.evaluation import Training
from lrlearn.tasks import Task

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3, 2)).astype("float32")
X[RNG.uniform(size=(12, 3)) < 0.4] = 0.0
STEPS = RNG.normal(size=(12, 3, 1)).astype("float32")


def _squares(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def _masked():
    inputs = keras.Input((3, 2))
    h = layers.SimpleRNN(4, return_sequences=True)(layers.Masking()(inputs))
    return keras.Model(inputs, layers.Dense(1)(h))


def _flat():
    return keras.Sequential([keras.Input((3, 2)), layers.Flatten(), layers.Dense(1)])


@pytest.mark.parametrize(
    "model_fn, loss, y",
    [
        (_masked, "mse", STEPS),
        (_flat, _squares, np.arange(12)[:, None]),
        (_flat, _squares, np.arange(12.0)),
        (_flat, "mse", np.arange(12)),
    ],
)
def test_is_that_of_evaluate(model_fn, loss, y):
    """With masks, integers and flat targets."""
    task = Task(model_fn, loss, (X, y), batch_size=12)
    params, state = task.init(seed=0)
    received, *_ = task.evaluate_loss(params, state, tf.constant(X), tf.constant(y))
    model = task.model_fn()
    for variable, value in zip(task.variables(model)[0], params, strict=True):
        variable.assign(value)
    model.compile("sgd", loss)
    expected = model.evaluate(X, y, batch_size=12, verbose=0)
    np.testing.assert_allclose(received, expected, rtol=2e-6)


class Noise(layers.Layer):
    """Draws from Keras's global seed generator."""

    def call(self, x):
        return x + keras.random.normal((1,))


def _noisy():
    layers_of = [keras.Input((3, 2)), layers.Flatten(), Noise(), layers.Dense(1)]
    return keras.Sequential(layers_of)


def test_unseeded_noise_goes_on_in_the_state():
    """New at each call, the same from the same state; the seed decides."""
    task = Task(_noisy, "mse", (X, STEPS[:, 0]), batch_size=12)
    x, y = map(tf.constant, task.train)
    evaluate = tf.function(task.evaluate_loss)
    losses = []
    for seed in (0, 0, 1):
        params, state = task.init(seed)
        first, _, after = evaluate(params, state, x, y, training=True)
        again, *_ = evaluate(params, state, x, y, training=True)
        second, *_ = evaluate(params, after, x, y, training=True)
        assert first == again and first != second
        losses.append((float(first), float(second)))
    assert losses[0] == losses[1] != losses[2]


def test_a_training_has_new_noise_at_each_step():
    """Of an untrained copy too, and reproducibly."""
    task = Task(_noisy, "mse", (X, STEPS[:, 0]), batch_size=12)
    training = Training(task, keras.optimizers.SGD(0.01))
    runs = [training.run(steps=3, seeds=0) for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])
