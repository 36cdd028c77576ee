"""LearnedOptimizer's weights: given, set, refused."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.optimizers import LearnedOptimizer
from tests.optimizers.conftest import GRADIENTS, W, apply, by_hand

pytestmark = pytest.mark.any_backend


def test_theta(rule):
    """What is given is what is held, whatever its order and float type."""
    theta = rule.init_theta(seed=5)
    shuffled = {name: theta[name].astype("float64") for name in reversed(theta)}
    optimizer = LearnedOptimizer(rule, shuffled)
    assert optimizer.theta.keys() == theta.keys()
    for name, value in optimizer.theta.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, theta[name])


def test_theta_can_be_set(make_optimizer, rule):
    """It changes the next step."""
    optimizer = LearnedOptimizer(rule)
    assert optimizer.theta is None
    optimizer.theta = rule.init_theta(seed=1)
    np.testing.assert_allclose(
        apply(optimizer, GRADIENTS), by_hand(rule, GRADIENTS, W), rtol=1e-5
    )


def test_training_leaves_theta_alone(make_optimizer, rule):
    """The optimizer does not learn; only its state moves."""
    optimizer = make_optimizer(weight_decay=0.1, use_ema=True)
    apply(optimizer, GRADIENTS)
    for name, value in rule.init_theta(seed=1).items():
        np.testing.assert_array_equal(optimizer.theta[name], value)


def test_untrained_optimizer_refuses_to_run(make_model, fit, rule):
    """In `apply` and in `fit`, and nothing has changed after."""
    with pytest.raises(ValueError, match="is untrained.*from_preset.*pass `theta`"):
        apply(LearnedOptimizer(rule), GRADIENTS)
    model = make_model()
    before = model.get_weights()
    model.compile(LearnedOptimizer(rule, name="mine"), "mse")
    with pytest.raises(ValueError, match="'mine' is untrained"):
        fit(model)
    if keras.backend.backend() != "jax":  # whose `fit` loses the model with any error
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_set_weights_trains(make_optimizer, rule):
    """`set_weights` brings theta, state and iteration; untrained ones stay so."""
    trained, other = make_optimizer(), LearnedOptimizer(rule)
    apply(trained, GRADIENTS)
    variable = keras.Variable(W)
    other.build([variable])
    untrained = [v.numpy() for v in other.variables]
    other.set_weights([v.numpy() for v in trained.variables])
    other.apply([ops.convert_to_tensor(GRADIENTS[0])], [variable])
    assert int(other.iterations) == 4
    other.set_weights(untrained)
    with pytest.raises(ValueError, match="is untrained"):
        other.apply([ops.convert_to_tensor(GRADIENTS[0])], [variable])


def _with_bias(value):
    return lambda theta: {**theta, "head/bias": np.full((3, 1), value)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda theta: {}, "`theta` must fit the rule CoordinatewiseLSTM"),
        (
            lambda theta: {**theta, "head/bias": [0, 0, 0]},
            r"'head/bias' must be \(3, 1",
        ),
        (lambda theta: {**theta, "extra": [0]}, "'extra' must be absent"),
        (_with_bias(np.nan), "must be finite.*'head/bias'"),
        (_with_bias(1e300), "must be finite.*'head/bias'"),
        (_with_bias(np.finfo("float32").max), "must be less than.*'head/bias'"),
        (lambda theta: list(theta.values()), "must be a dict of names to arrays"),
    ],
)
def test_bad_theta(rule, change, message):
    """Refused by the constructor and by the setter, which keeps the old weights."""
    theta = rule.init_theta()
    with pytest.raises(ValueError, match=message):
        LearnedOptimizer(rule, change(theta))
    optimizer = LearnedOptimizer(rule, theta)
    with pytest.raises(ValueError, match=message):
        optimizer.theta = change(theta)
    np.testing.assert_array_equal(optimizer.theta["head/bias"], theta["head/bias"])


def test_bad_arguments(rule):
    """The error has the rule and what came."""
    hint = r"UpdateRule. Received: rule='lo_sam'; use .*from_preset\('lo_sam'\)"
    with pytest.raises(ValueError, match=hint):
        LearnedOptimizer("lo_sam")
    with pytest.raises(ValueError, match="UpdateRule. Received: rule=3$"):
        LearnedOptimizer(3)
    with pytest.raises(ValueError, match="not recognized.*'momentum'"):
        LearnedOptimizer(rule, momentum=0.9)
