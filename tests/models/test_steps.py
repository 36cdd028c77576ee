"""SharpnessAwareModel: what its steps are, against formulas."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import lrlearn
from lrlearn.regularizers import ASAM, GAM, GSAM, L2, SAM, Regularizer, RhoSchedule
from tests.models.conftest import (
    LABELS,
    TARGETS,
    WEIGHTS,
    X,
    assert_equal,
    linear,
)
from tests.models.quadratic import RATE, RHO, W, close, gradient, sam, step

pytestmark = pytest.mark.any_backend


def test_steps_are_those_of_sam():
    """Two steps of gradient descent along the field."""
    expected = W
    for _ in range(2):
        expected = expected - RATE * sam(expected)
    assert np.abs(expected - (W - 2 * RATE * gradient(W))).max() > 5e-3
    close(step(linear(), steps=2), expected)


FIELDS = {
    "gsam": GSAM(RHO, 0.4),
    "gam": GAM(RHO, RHO),
    "gam_hvp": GAM(RHO, variant="hvp"),
    "asam": ASAM(RHO),
    "l2": L2(RHO),
}


@pytest.mark.parametrize("scale", [None, 1024.0])
@pytest.mark.parametrize("regularizer", FIELDS.values(), ids=FIELDS)
def test_steps_follow_the_field(regularizer, scale):
    """The regularizer's own, on the same loss, also where that is scaled."""

    def loss_fn(params):
        return ops.mean(ops.square(ops.subtract(ops.matmul(X, params[0]), TARGETS)))

    _, (field,) = regularizer.gradients(loss_fn, [ops.convert_to_tensor(W)])
    expected = W - RATE * ops.convert_to_numpy(field)
    optimizer = keras.optimizers.SGD(RATE, loss_scale_factor=scale)
    received = step(linear(), regularizer=regularizer, optimizer=optimizer)
    close(received, expected)


def test_custom_regularizer():
    """All it takes is a field."""

    class Twice(Regularizer):
        def field(self, loss_fn, params, loss, g):
            return [2.0 * x for x in g]

    close(step(linear(), regularizer=Twice()), W - 2 * RATE * gradient(W))


@pytest.mark.parametrize(
    "mode", [{"run_eagerly": True}, {"run_eagerly": False}, {"jit_compile": True}]
)
def test_eager_and_compiled_steps(mode):
    """All the same."""
    if keras.backend.backend() == "torch" and "jit_compile" in mode:
        pytest.skip("Keras compiles no model on torch by itself")
    close(step(linear(), **{"run_eagerly": False, **mode}), W - RATE * sam(W))


def test_sample_weights():
    """They weigh in all passes."""
    weights = WEIGHTS[:, None]
    expected = W - RATE * sam(W, weights=weights)
    close(step(linear(), fit={"sample_weight": WEIGHTS}), expected)


def test_class_weights():
    """They are sample weights by label."""
    kernels = []
    for fit in (
        {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
        {"sample_weight": np.float32([1.0, 3.0, 0.5])[LABELS]},
    ):
        kernels.append(step(linear(), y=LABELS, fit=fit))
    close(*kernels)


def test_regularization_losses():
    """They are part of the loss in all passes."""

    def regularized(w):
        return gradient(w) + 2 * 0.5 * w

    model = linear(kernel_regularizer=keras.regularizers.L2(0.5))
    close(step(model), W - RATE * sam(W, regularized))


def test_dropout_masks_are_the_same_in_all_passes():
    """Else the field would be that of another network."""

    def dropout():
        return layers.Dropout(0.5, seed=7)

    masked = X * ops.convert_to_numpy(dropout()(np.ones_like(X), training=True))
    inputs = keras.Input((4,))
    outputs = layers.Dense(1, use_bias=False)(dropout()(inputs))
    model = lrlearn.SharpnessAwareModel(inputs, outputs)
    model.set_weights([W])
    close(step(model), W - RATE * sam(W, x=masked))


def test_batch_normalization_moves_once():
    """By the plain pass."""
    inputs = keras.Input((4,))
    h = layers.Dense(4, use_bias=False)(inputs)
    normalization = layers.BatchNormalization(momentum=0.9)
    model = lrlearn.SharpnessAwareModel(inputs, layers.Dense(1)(normalization(h)))
    h = X @ ops.convert_to_numpy(model.trainable_variables[0])
    step(model)
    close(ops.convert_to_numpy(normalization.moving_mean), 0.1 * h.mean(axis=0))
    expected = 0.9 + 0.1 * h.var(axis=0)
    close(ops.convert_to_numpy(normalization.moving_variance), expected)


def test_logs_are_of_the_plain_loss():
    """At the parameters before the step."""
    model = linear()
    model.compile("sgd", loss="mse", metrics=["mae"], regularizer=SAM(10.0))
    expected = model.evaluate(X, TARGETS, verbose=0, return_dict=True)
    received = model.train_on_batch(X, TARGETS, return_dict=True)
    for name, value in expected.items():
        close(received[name], value)


def test_gradient_accumulation():
    """The mean of the fields of the batches, each with its own perturbation."""
    halves = [{"x": X[i::2], "y": TARGETS[i::2]} for i in range(2)]
    model = linear()
    optimizer = keras.optimizers.SGD(RATE, gradient_accumulation_steps=2)
    model.compile(optimizer, "mse", regularizer=SAM(RHO), run_eagerly=True)
    for half in halves:
        model.train_on_batch(**half)
    expected = W - RATE * np.mean([sam(W, **half) for half in halves], axis=0)
    close(ops.convert_to_numpy(model.trainable_variables[0]), expected)


def test_half_precision_gradients_do_not_vanish():
    """The loss scale protects all passes; here a float16 gradient is below 1e-8."""
    kernels = []
    for scale, dtype in ((1e-8, "mixed_float16"), (1e-8, "float32")):
        model = linear(dtype=dtype)
        optimizer = keras.optimizers.SGD(RATE / scale)
        scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**24)
        kernels.append(
            step(model, optimizer=scaled, loss_weights=[scale])
            - ops.convert_to_numpy(W)
        )
    assert np.abs(kernels[1]).max() > 0.1
    np.testing.assert_allclose(*kernels, rtol=0.05, atol=0.01)


def test_half_precision_curvature_does_not_vanish():
    """At a scale at which second derivatives, scaled twice, do not overflow either."""
    kernels = []
    for dtype in ("mixed_float16", "float32"):
        scaled = keras.optimizers.LossScaleOptimizer(
            keras.optimizers.SGD(RATE), initial_scale=2.0**8
        )
        hvp = GAM(0.5, alpha=1.0, variant="hvp")
        kernels.append(step(linear(dtype=dtype), regularizer=hvp, optimizer=scaled) - W)
    plain = -RATE * gradient(W)
    assert np.abs(kernels[1] - plain).max() > 0.05
    np.testing.assert_allclose(*kernels, rtol=0.02, atol=0.005)


def test_infinite_gradients_are_skipped_under_loss_scaling():
    """The scale is halved, the variables are left alone."""
    model = linear(dtype="mixed_float16")
    scaled = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(RATE), initial_scale=2.0**60
    )
    assert_equal(step(model, optimizer=scaled), W)
    assert float(scaled.dynamic_scale) == 2.0**59


def test_rho_follows_the_learning_rate():
    """A RhoSchedule at half its range."""
    schedule = RhoSchedule(0.0, 2 * RHO, lr_max=2 * RATE)
    close(step(linear(), regularizer=SAM(schedule)), W - RATE * sam(W))


def test_rho_follows_the_step():
    """A schedule of Keras: first none, then all."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.0, RHO])
    expected = W - RATE * gradient(W)
    expected = expected - RATE * sam(expected)
    close(step(linear(), regularizer=SAM(schedule), steps=2), expected)
