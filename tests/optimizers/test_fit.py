"""LearnedOptimizer in `fit`, in every way Keras can run it."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.optimizers.conftest import RULES, assert_close

pytestmark = pytest.mark.any_backend

TORCH = keras.backend.backend() == "torch"
MODES = {
    "eager": {"run_eagerly": True},
    "graph": {"jit_compile": False},
    "auto": {"jit_compile": "auto"},
}
if not TORCH:  # where Keras takes one step at a time, and torch.compile a minute
    MODES |= {"jit": {"jit_compile": True}, "steps": {"steps_per_execution": 3}}
CASES = [*((rule, "graph") for rule in RULES), *(("normalized/adam", m) for m in MODES)]


@pytest.fixture(name="regression")
def _regression():
    """Inputs and targets of a linear regression."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 5)).astype("float32"), np.float32(rng.random((48, 3)))


def _regress_by_hand(rule, x, y, kernel, bias, steps):
    """Returns kernel and bias after steps of the rule, three batches an epoch."""
    shapes = [kernel.shape, bias.shape]
    theta, state = rule.init_theta(seed=1), rule.initial_state(shapes)
    w = np.concatenate([kernel.ravel(), bias])
    for step in range(1, steps + 1):
        batch = slice(16 * ((step - 1) % 3), 16 * ((step - 1) % 3) + 16)
        error = x[batch] @ w[:15].reshape(5, 3) + w[15:] - y[batch]
        error *= 2 / error.size  # gradient of the mean of squares
        g = np.concatenate([(x[batch].T @ error).ravel(), error.sum(axis=0)])
        d, state = rule.update(theta, g, w, state, step, shapes)
        w = w + ops.convert_to_numpy(d)
    return w[:15].reshape(5, 3), w[15:]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_fit_is_a_loop_over_the_rule(make_optimizer, regression, name, mode):
    """The optimizer adds nothing to the rule, and forgets nothing."""
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile(make_optimizer(RULES[name]), "mse", **MODES[mode])
    before = model.get_weights()
    model.fit(*regression, batch_size=16, epochs=3, shuffle=False, verbose=0)
    expected = _regress_by_hand(RULES[name], *regression, *before, steps=9)
    for start, received, value in zip(
        before, model.get_weights(), expected, strict=True
    ):
        assert_close(received, value)
        assert np.abs(value - start).max() > 1e-3


def test_models_do_not_share_state(make_model, make_optimizer, fit):
    """Two models trained in turn do as each does alone."""
    models = [make_model() for _ in range(3)]
    for model in models:
        model.compile(make_optimizer(), "binary_crossentropy", run_eagerly=True)
    in_turn = [[fit(model)[0] for model in models[:2]] for _ in range(2)]
    alone = fit(models[2], epochs=2)
    np.testing.assert_array_equal(in_turn, np.transpose([alone, alone]))


def test_recompile_goes_on(make_model, make_optimizer, fit):
    """A second `compile` with the same optimizer keeps its state."""
    plain, recompiled = make_model(), make_model()
    plain.compile(make_optimizer(), "binary_crossentropy")
    optimizer = make_optimizer()
    losses = []
    for _ in range(2):
        recompiled.compile(optimizer, "binary_crossentropy")
        losses += fit(recompiled)
    np.testing.assert_array_equal(losses, fit(plain, epochs=2))
    assert int(optimizer.iterations) == 6


def test_new_theta_needs_no_recompile(make_model, make_optimizer, fit, rule):
    """Theta is read from variables at each step, compiled or not."""
    model, other = make_model(), make_model()
    for each in (model, other):
        each.compile(make_optimizer(), "binary_crossentropy")
        fit(each)
    model.optimizer.theta = rule.init_theta(seed=2)
    weights = model.optimizer.variables
    other.compile(make_optimizer(), "binary_crossentropy", run_eagerly=True)
    other.optimizer.build(other.trainable_variables)
    other.optimizer.set_weights([v.numpy() for v in weights])
    assert_close(fit(model, epochs=2), fit(other, epochs=2))


def _moved(model, fit):
    """Returns which layers an epoch moves."""
    before = model.get_weights()
    fit(model)
    moved = [
        not np.array_equal(*pair)
        for pair in zip(before, model.get_weights(), strict=True)
    ]
    return moved[::2]  # of kernel and bias


def test_frozen_layers_stay(make_model, make_optimizer, fit):
    """Until they are unfrozen; as ever, each `compile` takes a new optimizer."""
    model = make_model()
    for trainable in (True, False, True):
        model.layers[0].trainable = trainable
        model.compile(make_optimizer(), "binary_crossentropy", run_eagerly=True)
        assert _moved(model, fit) == [trainable, True]


@pytest.mark.parametrize("ours", [True, False])
def test_layers_frozen_later(make_model, make_optimizer, fit, ours):
    """The optimizer may keep what it knows of them; JAX refuses, of Adam too."""
    model = make_model()
    optimizer = make_optimizer() if ours else keras.optimizers.Adam()
    model.compile(optimizer, "binary_crossentropy")
    fit(model)
    model.layers[0].trainable = False
    model.compile(optimizer, "binary_crossentropy")
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match="corresponding 1:1"):
            fit(model)
    else:
        assert _moved(model, fit) == [False, True]


def test_learning_rate_scheduler(make_model, make_optimizer, fit):
    """At a learning rate of zero nothing moves."""
    model = make_model()
    model.compile(make_optimizer(), "binary_crossentropy")
    fit(model)
    before = model.get_weights()
    stop = keras.callbacks.LearningRateScheduler(lambda epoch: 0.0)
    fit(model, callbacks=[stop])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_reduce_on_plateau(make_model, make_optimizer, fit):
    """Halves the multiplier if no epoch is good enough."""
    model = make_model()
    model.compile(make_optimizer(learning_rate=0.8), "binary_crossentropy")
    reduce = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=100.0
    )
    fit(model, epochs=3, callbacks=[reduce])
    np.testing.assert_allclose(float(model.optimizer.learning_rate), 0.2, rtol=1e-6)


def test_swap_of_moving_averages(make_model, make_optimizer, fit, data):
    """Keras's callback evaluates the averages and goes on with the weights."""
    model, plain = make_model(), make_model()
    average = {"use_ema": True, "ema_momentum": 0.5}
    model.compile(make_optimizer(**average), "binary_crossentropy")
    plain.compile(make_optimizer(), "binary_crossentropy")
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    assert_close(fit(model, epochs=2, callbacks=[swap]), fit(plain, epochs=2))


def test_embedding(make_optimizer):
    """`fit` hands sparse gradients over if the backend has them."""
    x, y = np.array([[1, 1], [2, 0], [1, 2]]), np.float32([[1], [0], [1]])
    layers = [
        keras.layers.Embedding(3, 2),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    scaled = keras.optimizers.LossScaleOptimizer(
        make_optimizer(clipnorm=1.0, gradient_accumulation_steps=2)
    )
    model.compile(scaled, "mse")
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "OptimizerMap"), reason="Keras 3.15 brought it"
)
def test_several_optimizers(make_model, make_optimizer, fit):
    """Kernels by the rule, biases by another, which stands still here."""
    by_rule = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.0))
    by_rule[".*kernel"] = make_optimizer()
    model = make_model()
    model.compile(keras.optimizers.MultiOptimizer(by_rule), "binary_crossentropy")
    before = model.get_weights()
    fit(model)
    for i, (old, new) in enumerate(zip(before, model.get_weights(), strict=True)):
        assert np.array_equal(old, new) == (i % 2 == 1)
