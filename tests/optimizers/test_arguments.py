"""LearnedOptimizer with each argument that Keras's optimizers take."""

import keras
import numpy as np
import pytest
from keras import ops

from tests.optimizers.conftest import GRADIENTS, RULES, W, apply, assert_close, by_hand

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("learning_rate", [1, 0.25, np.float32(2.0), lambda: 0.5])
def test_learning_rate_multiplies_the_step(make_optimizer, rule, learning_rate):
    """Integers and functions too."""
    received = apply(make_optimizer(learning_rate=learning_rate), GRADIENTS)
    value = learning_rate() if callable(learning_rate) else learning_rate
    assert_close(received, by_hand(rule, GRADIENTS, W, [float(value)] * 3))


def test_learning_rate_can_be_set(make_optimizer, rule):
    """Also after the first step, and to a schedule, which then cannot be set."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    for g, lr in zip(GRADIENTS, (1, 0.5, 0), strict=True):
        optimizer.learning_rate = lr
        optimizer.apply([ops.convert_to_tensor(g)], [variable])
    assert_close(variable, by_hand(rule, GRADIENTS, W, [1.0, 0.5, 0.0])[-1])
    number = len(optimizer.variables)
    optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5)
    assert len(optimizer.variables) == number - 1
    assert float(optimizer.learning_rate) == pytest.approx(0.5**1.5)
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1


def test_schedule(make_optimizer, rule):
    """The schedule sees the iteration."""
    rates = [1.0, 0.5, 2.0]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], rates)
    received = apply(make_optimizer(learning_rate=schedule), GRADIENTS)
    assert_close(received, by_hand(rule, GRADIENTS, W, rates))


def test_weight_decay_is_multiplied_by_the_learning_rate(make_optimizer, rule):
    """It acts before the rule, which sees the decayed parameter."""
    optimizer = make_optimizer(weight_decay=0.1, learning_rate=0.5)
    expected = by_hand(rule, GRADIENTS, W, [0.5] * 3, decay=0.1)
    assert_close(apply(optimizer, GRADIENTS), expected)


def test_exclude_from_weight_decay(make_optimizer, rule):
    """By variable and by name."""
    variables = [keras.Variable(W, name=name) for name in ("kernel", "gain", "bias")]
    optimizer = make_optimizer(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=variables[1:2], var_names=["bias"])
    for g in GRADIENTS:
        optimizer.apply([ops.convert_to_tensor(g)] * 3, variables)
    for variable, decay in zip(variables, (0.1, 0.0, 0.0), strict=True):
        assert_close(variable, by_hand(rule, GRADIENTS, W, decay=decay)[-1])


@pytest.mark.parametrize(
    ("argument", "clip"),
    [
        ("clipnorm", lambda g: g / max(1.0, np.linalg.norm(g) / 0.5)),
        ("global_clipnorm", lambda g: g / max(1.0, np.linalg.norm(g) / 0.5)),
        ("clipvalue", lambda g: np.clip(g, -0.5, 0.5)),
    ],
)
def test_clipping(make_optimizer, rule, argument, clip):
    """The rule sees the clipped gradient."""
    received = apply(make_optimizer(**{argument: 0.5}), GRADIENTS)
    assert_close(received, by_hand(rule, [clip(g) for g in GRADIENTS], W))


def test_the_global_norm_is_of_all_variables(make_optimizer, rule):
    """Not of each by itself."""
    variables = [keras.Variable(W), keras.Variable(W)]
    gradients = np.float32([GRADIENTS[0], 5 * GRADIENTS[1]])
    make_optimizer(global_clipnorm=0.5).apply(
        [ops.convert_to_tensor(g) for g in gradients], variables
    )
    clipped = 0.5 * gradients / np.linalg.norm(gradients)
    for g, variable in zip(clipped, variables, strict=True):
        assert_close(variable, by_hand(rule, [g], W)[0])


def test_gradient_accumulation(make_optimizer, rule):
    """Two half batches make one step of the rule; decay and clipping come once."""
    gradients = np.float32([GRADIENTS[0], GRADIENTS[1], GRADIENTS[2], GRADIENTS[0]])
    optimizer = make_optimizer(
        gradient_accumulation_steps=2, clipvalue=0.2, weight_decay=0.1
    )
    means = gradients.reshape(2, 2, 3).mean(axis=1).clip(-0.2, 0.2)
    first, second = by_hand(rule, means, W, decay=0.1)
    assert_close(apply(optimizer, gradients), [W, first, first, second])
    assert int(optimizer.iterations) == 2


def test_moving_average(make_optimizer, rule):
    """`use_ema` averages what the rule makes."""
    optimizer = make_optimizer(use_ema=True, ema_momentum=0.5)
    variable = keras.Variable(W)
    for g in GRADIENTS:
        optimizer.apply([ops.convert_to_tensor(g)], [variable])
    first, second, third = by_hand(rule, GRADIENTS, W)
    assert_close(variable, third)
    optimizer.finalize_variable_values([variable])
    assert_close(variable, 0.25 * first + 0.25 * second + 0.5 * third)


def test_moving_average_overwrites(make_optimizer, rule):
    """Every so many steps the average replaces the variable; the rule sees it."""
    average = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}
    received = apply(make_optimizer(**average), GRADIENTS)
    theta, state = rule.init_theta(seed=1), rule.initial_state(3)
    values, w, mean = [], W, None
    for step, g in enumerate(GRADIENTS, start=1):
        d, state = rule.update(theta, g, w, state, step)
        w = w + ops.convert_to_numpy(d)
        mean = w if step == 1 else 0.5 * mean + 0.5 * w
        w = mean if step == 2 else w
        values.append(w)
    assert_close(received, values)


def test_constraint(make_optimizer):
    """A variable's constraint holds after each step."""
    variable = keras.Variable(np.abs(W))
    variable.constraint = keras.constraints.NonNeg()
    optimizer = make_optimizer(learning_rate=1000.0)
    optimizer.apply([ops.convert_to_tensor(GRADIENTS[0])], [variable])
    assert variable.numpy().min() == 0 < variable.numpy().max()


def test_loss_scale_factor(make_optimizer, rule):
    """Gradients of a scaled loss are scaled back."""
    optimizer = make_optimizer(loss_scale_factor=1024.0)
    assert optimizer.scale_loss(2.0) == 2048.0
    assert_close(apply(optimizer, 1024 * GRADIENTS), by_hand(rule, GRADIENTS, W))


def test_names(make_optimizer):
    """Variables come in the same order under any backend, for files count them."""
    optimizer = make_optimizer(RULES["mlp"], name="mine")
    apply(optimizer, GRADIENTS)
    counters = ["iteration", "learning_rate"]
    theta = ["head_bias", "head_kernel", "hidden_bias", "hidden_kernel"]
    moments = ["accumulators_m", "accumulators_v"]
    rows = ["statistics_columns", "statistics_rows"]
    assert [variable.path for variable in optimizer.variables] == [
        f"mine/{name}" for name in (*counters, *theta, *moments, *rows)
    ]
