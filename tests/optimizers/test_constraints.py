"""Keras's constraints hold after each step, on each path that lrlearn has."""

import keras
import numpy as np
import pytest
from keras import ops

import lrlearn
from tests.optimizers.conftest import RULES, assert_close
from tests.optimizers.test_fit import MODES

RULE = RULES["mlp"]
RATE = 30.0


class Box(keras.constraints.Constraint):
    """A custom one."""

    def __call__(self, w):
        return ops.clip(w, -0.1, 0.2)


def _normalized(w, most=None):
    norm = np.sqrt(np.sum(np.square(w), axis=0, keepdims=True))
    return w / norm if most is None else w * np.minimum(1.0, most / norm)


CONSTRAINTS = {
    "non-negative": (keras.constraints.NonNeg(), lambda w: np.maximum(w, 0.0)),
    "unit norm": (keras.constraints.UnitNorm(), _normalized),
    "max norm": (keras.constraints.MaxNorm(0.7), lambda w: _normalized(w, 0.7)),
    "custom": (Box(), lambda w: np.clip(w, -0.1, 0.2)),
}
CASES = [*((name, "graph") for name in CONSTRAINTS)]
CASES += [("max norm", mode) for mode in ("eager", "jit") if mode in MODES]


@pytest.fixture(name="regression")
def _regression():
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 5)).astype("float32"), np.float32(rng.random((48, 3)))


@pytest.mark.any_backend
@pytest.mark.parametrize(("name", "mode"), CASES)
def test_fit_projects_each_update(make_optimizer, regression, name, mode):
    """The rule, then the projection, then the next gradient."""
    constraint, project = CONSTRAINTS[name]
    layer = keras.layers.Dense(3, use_bias=False, kernel_constraint=constraint)
    model = keras.Sequential([keras.Input((5,)), layer])
    model.compile(make_optimizer(RULE, learning_rate=RATE), "mse", **MODES[mode])
    (w,), (x, y) = model.get_weights(), regression
    model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    theta, state = RULE.init_theta(seed=1), RULE.initial_state([w.shape])
    distances = []
    for step in range(6):
        batch = slice(16 * (step % 3), 16 * (step % 3) + 16)
        error = x[batch] @ w - y[batch]
        g = x[batch].T @ error * np.float32(2 / error.size)
        d, state = RULE.update(theta, g.ravel(), w.ravel(), state, step + 1, [w.shape])
        moved = w + RATE * ops.convert_to_numpy(d).reshape(w.shape)
        w = np.float32(project(moved))
        distances.append(np.abs(w - moved).max())
    assert_close(model.get_weights()[0], w)
    assert max(distances[1:]) > 1e-3


def _several(optimizer):
    by_rule = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.0))
    by_rule[".*kernel"] = optimizer
    return keras.optimizers.MultiOptimizer(by_rule)


WAYS = {
    "plain": ({}, None, {}),
    "averages": ({"use_ema": True, "ema_momentum": 0.5}, None, {}),
    "averages now and then": (
        {"use_ema": True, "ema_overwrite_frequency": 2},
        None,
        {},
    ),
    "accumulation": ({"gradient_accumulation_steps": 2}, None, {}),
    "loss scale": ({}, keras.optimizers.LossScaleOptimizer, {}),
    "SAM": ({}, None, {"regularizer": "sam"}),
    "SAM, late": ({}, None, {"regularizer": "sam", "start_fraction": 0.5}),
    "SAM, averages": ({"use_ema": True}, None, {"regularizer": "sam"}),
}
if hasattr(keras.optimizers, "OptimizerMap"):
    WAYS["several optimizers"] = ({}, _several, {})


@pytest.mark.parametrize(("arguments", "wrap", "settings"), WAYS.values(), ids=WAYS)
def test_weights_end_non_negative(
    make_optimizer, regression, arguments, wrap, settings
):
    """Though the targets pull all of them below 0."""
    x, y = np.abs(regression[0]), -regression[1]
    inputs = keras.Input((5,))
    outputs = keras.layers.Dense(3, kernel_constraint="non_neg")(inputs)
    model_class = lrlearn.SharpnessAwareModel if settings else keras.Model
    model = model_class(inputs, outputs)
    model.set_weights([np.full((5, 3), 0.1), np.zeros(3)])
    optimizer = make_optimizer(RULE, learning_rate=RATE, **arguments)
    model.compile(wrap(optimizer) if wrap else optimizer, "mse", **settings)
    model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    kernel, bias = model.get_weights()
    assert kernel.min() == 0.0 and bias.min() <= 0.0
