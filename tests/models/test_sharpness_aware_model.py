"""SharpnessAwareModel: kinds of models and optimizers, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers

import lrlearn
from lrlearn.regularizers import SAM, RhoSchedule
from tests.models.conftest import (
    TARGETS,
    X,
    assert_equal,
    linear,
    same_model,
    sharpness_aware,
    train,
)
from tests.models.quadratic import RATE, RHO, W, close, sam, step

pytestmark = pytest.mark.any_backend


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_variables_without_gradient_are_left_alone():
    """Also by a learned optimizer, whose rule would move them."""
    model = sharpness_aware(same_model("two outputs"))
    unused = model.get_layer("unused")
    unused.bias.assign([1.0])
    before = unused.get_weights()
    train(
        model,
        "two outputs",
        lrlearn.LearnedOptimizer.from_preset("lo_sam"),
        regularizer="sam",
        run_eagerly=keras.backend.backend() != "jax",  # slow there
    )
    if keras.backend.backend() != "jax":  # which makes zeros of them, as Keras does
        assert_equal(unused.get_weights(), before)


def test_from_model_shares_the_weights():
    """Training one trains the other, under its name."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)], name="mine")
    other = sharpness_aware(model)
    step(other)
    assert other.name == "mine"
    assert_equal(model.get_weights(), other.get_weights())
    np.testing.assert_array_equal(
        model.predict(X, verbose=0), other.predict(X, verbose=0)
    )


def test_subclassed_models_serve_as_layers():
    """With the same steps as the functional one."""

    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1, use_bias=False)

        def call(self, x):
            return self.dense(x)

    with pytest.raises(ValueError, match=r"`model` must be functional.* Received: mo"):
        sharpness_aware(Mine())
    inputs = keras.Input((4,))
    model = lrlearn.SharpnessAwareModel(inputs, Mine()(inputs))
    model.set_weights([W])
    close(step(model), W - RATE * sam(W))


def test_optional_inputs_may_be_absent():
    """Also the first."""
    inputs = [keras.Input((4,), optional=True), keras.Input((4,))]

    class Second(layers.Layer):
        def call(self, inputs):
            return inputs[1]

    outputs = layers.Dense(1)(Second()(inputs))
    model = lrlearn.SharpnessAwareModel(inputs, outputs)
    model.compile("sgd", "mse", regularizer="sam", run_eagerly=True)
    assert np.isfinite(model.train_on_batch([None, X], TARGETS))


def test_a_frozen_model_is_left_to_keras():
    """Which warns and measures."""
    model = linear()
    model.trainable = False
    model.compile("sgd", "mse", regularizer="sam", run_eagerly=True)
    if keras.backend.backend() == "jax":
        pytest.skip("Keras fails there")
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        loss = model.train_on_batch(X, TARGETS)
    close(loss, np.mean((X @ W - TARGETS) ** 2))


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "OptimizerMap"), reason="Keras 3.15 brought it"
)
def test_several_optimizers():
    """They have no one learning rate that a radius could follow."""
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.SGD(RATE))
    make = keras.optimizers.MultiOptimizer
    close(step(linear(), optimizer=make(optimizers)), W - RATE * sam(W))
    optimizers = keras.optimizers.OptimizerMap(keras.optimizers.SGD(RATE))
    scheduled = SAM(RhoSchedule(0.0, RHO))
    with pytest.raises(ValueError, match="no single learning rate"):
        step(linear(), regularizer=scheduled, optimizer=make(optimizers))


@pytest.mark.parametrize("bad", ["sma", 0.05, SAM])
def test_what_is_no_regularizer_is_refused(bad):
    """One line; the model stays as it was compiled."""
    model = linear()
    model.compile("sgd", "mse", regularizer="sam")
    with pytest.raises(ValueError, match="`regularizer` must be .* Received: regul"):
        model.compile("adam", "mse", regularizer=bad)
    assert isinstance(model.regularizer, SAM)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
