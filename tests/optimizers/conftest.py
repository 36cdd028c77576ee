"""A small problem for optimizers."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.optimizers import LearnedOptimizer, presets
from lrlearn.rules import CoordinatewiseLSTM, PerParameterMLP, ScheduledMLP

RULES = {
    "log/scaled": CoordinatewiseLSTM((4, 3)),
    "normalized/adam": CoordinatewiseLSTM((4,), "normalized", "adam"),
    "mlp": PerParameterMLP(units=4),
    "scheduled": ScheduledMLP(units=4, default_rho=0.05),
}

METADATA = {"description": "A test.", "tasks": ["digits/mlp"], "seed": 3}
W = np.float32([1.0, -2.0, 0.5])
GRADIENTS = np.float32([[0.3, -0.1, 2.0], [0.0, 0.4, -1.0], [1e-3, 0.2, 0.1]])


def by_hand(rule, gradients, w, learning_rates=None, decay=0.0):
    """Returns the parameter after each step of `w <- w + lr d`."""
    state, theta, history = rule.initial_state(np.size(w)), rule.init_theta(seed=1), []
    learning_rates = learning_rates or [1.0] * len(gradients)
    for step, (g, lr) in enumerate(zip(gradients, learning_rates, strict=True), 1):
        w = w - w * np.float32(decay * lr)
        d, state = rule.update(theta, g, w, state, step)
        w = w + np.float32(lr) * ops.convert_to_numpy(d)
        history.append(w)
    return history


def assert_close(received, expected):
    """Up to float32's rounding."""
    if isinstance(received, keras.Variable):
        received = received.numpy()
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def apply(optimizer, gradients, w=W):
    """Returns the variable's value after each step."""
    variable, history = keras.Variable(w), []
    for g in gradients:
        optimizer.apply([ops.convert_to_tensor(g)], [variable])
        history.append(variable.numpy())
    return history


def small_model(optimizer, dtype=None, **settings):
    """Returns the same logistic regression each time, compiled to run fast."""
    dense = keras.layers.Dense(1, "sigmoid", kernel_initializer="ones", dtype=dtype)
    model = keras.Sequential([keras.Input((5,)), dense])
    jax = keras.backend.backend() == "jax"  # slow unless compiled
    eagerly = settings.setdefault("run_eagerly", not jax)
    settings.setdefault("jit_compile", jax and not eagerly)
    model.compile(optimizer, "binary_crossentropy", **settings)
    return model


@pytest.fixture(name="rule")
def _rule():
    return RULES["normalized/adam"]


@pytest.fixture(name="directory")
def _directory(tmp_path, rule):
    """A good preset."""
    presets.save_preset(tmp_path / "mine", rule, rule.init_theta(seed=1), METADATA)
    return tmp_path / "mine"


@pytest.fixture(name="home", autouse=True)
def _home(tmp_path, monkeypatch):
    """Directory of the user's own presets, which is not there yet."""
    monkeypatch.setenv("LRLEARN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(name="make_optimizer")
def _make_optimizer(rule):
    """Function that returns an optimizer; `init_theta` counts as trained if given."""

    def make(rule=rule, **kwargs):
        return LearnedOptimizer(rule, rule.init_theta(seed=1), **kwargs)

    return make


@pytest.fixture(name="data", scope="session")
def _data():
    x = np.random.default_rng(0).normal(size=(48, 5)).astype("float32")
    return x, (x.sum(axis=1, keepdims=True) > 0).astype("float32")


@pytest.fixture(name="make_model")
def _make_model():
    """Function that returns the same sigmoid MLP each time."""

    def make(dtype=None):
        initializer = keras.initializers.RandomNormal(seed=2)
        dense = [
            keras.layers.Dense(
                units, "sigmoid", kernel_initializer=initializer, dtype=dtype
            )
            for units in (4, 1)
        ]
        return keras.Sequential([keras.Input((5,)), *dense])

    return make


@pytest.fixture(name="fit")
def _fit(data):
    """Function that trains a model in order."""

    def fit(model, epochs=1, callbacks=None):
        settings = {"batch_size": 16, "shuffle": False, "verbose": 0}
        history = model.fit(*data, epochs=epochs, callbacks=callbacks, **settings)
        return history.history["loss"]

    return fit
