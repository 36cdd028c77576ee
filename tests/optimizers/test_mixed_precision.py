"""LearnedOptimizer with Keras's scaling of the loss."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.optimizers.conftest import GRADIENTS, W, apply, assert_close, by_hand

pytestmark = pytest.mark.any_backend

LossScaleOptimizer = keras.optimizers.LossScaleOptimizer
not_jax = pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="Keras's LossScaleOptimizer has stateless_apply alone there",
)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(make_model, make_optimizer, fit, dtype):
    """Losses stay near those of float32; the rule's state is float32."""
    model, reference = make_model(dtype), make_model()
    model.set_weights(reference.get_weights())
    optimizer = make_optimizer()
    scaled = LossScaleOptimizer(optimizer) if dtype == "mixed_float16" else optimizer
    model.compile(scaled, "binary_crossentropy")
    reference.compile(make_optimizer(), "binary_crossentropy")
    losses, expected = fit(model, epochs=5), fit(reference, epochs=5)
    np.testing.assert_allclose(losses, expected, rtol=5e-3)
    assert losses[-1] < losses[0]
    assert {v.dtype for v in optimizer.variables[1:]} == {"float32"}


def test_keras_wraps_it_where_the_policy_says_so(make_model, make_optimizer):
    """As it does every optimizer."""
    optimizer = make_optimizer()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(optimizer, "mse")
    assert isinstance(model.optimizer, LossScaleOptimizer)
    assert model.optimizer.inner_optimizer is optimizer


@not_jax
def test_scaled_gradients_are_scaled_back(make_optimizer, rule):
    """Before they are clipped; the optimizer's own factor is not used."""
    inner = make_optimizer(clipvalue=0.2, loss_scale_factor=3.0)
    received = apply(LossScaleOptimizer(inner, initial_scale=8.0), 8 * GRADIENTS)
    assert_close(received, by_hand(rule, GRADIENTS.clip(-0.2, 0.2), W))


@not_jax
def test_an_infinite_gradient_is_skipped(make_optimizer):
    """Neither the parameters nor the rule's state see it; the scale is halved."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    scaled = LossScaleOptimizer(optimizer, initial_scale=64.0)
    scaled.build([variable])
    before = [v.numpy() for v in optimizer.variables]
    scaled.apply([ops.convert_to_tensor(np.float32([1.0, np.inf, 0.0]))], [variable])
    np.testing.assert_array_equal(variable.numpy(), W)
    for old, new in zip(before, optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())
    assert float(scaled.scale_loss(1.0)) == 32.0


@not_jax
def test_the_scale_grows(make_optimizer):
    """After so many finite gradients."""
    scaled = LossScaleOptimizer(
        make_optimizer(), initial_scale=2.0, dynamic_growth_steps=2
    )
    apply(scaled, np.float32([GRADIENTS[0]] * 4))
    assert float(scaled.scale_loss(1.0)) == 8.0
    assert int(scaled.iterations) == 4


@not_jax
def test_learning_rate_is_the_inner_one(make_optimizer, rule):
    """Set on either."""
    scaled = LossScaleOptimizer(make_optimizer(), initial_scale=1.0)
    scaled.learning_rate = 0.5
    assert_close(apply(scaled, GRADIENTS), by_hand(rule, GRADIENTS, W, [0.5] * 3))
