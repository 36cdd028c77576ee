"""Theta, its average and the best."""

import keras
import numpy as np
import pytest

from lrlearn.meta.meta_weights import MetaWeights


def _weights(ema_decay=0.98):
    theta = {"a": np.float32([1.0, 2.0]), "b": np.float32([[3.0]])}
    return MetaWeights(theta, keras.optimizers.SGD(1.0), ema_decay)


def _apply(weights, value):
    weights.apply({"a": np.float32([value, value]), "b": np.float32([[value]])})


def test_average():
    """Its decay is min(a, (1 + t)/(10 + t)); no decay follows theta at once."""
    weights, expected, theta = _weights(ema_decay=0.3), 1.0, 1.0
    for t, gradient in enumerate([0.5, -0.25, 1.0, 2.0], start=1):
        _apply(weights, gradient)
        theta -= gradient
        decay = min(0.3, (1 + t) / (10 + t))
        expected = decay * expected + (1 - decay) * theta
        np.testing.assert_allclose(weights.average["a"][0], expected, rtol=1e-6)
    at_once = _weights(ema_decay=0.0)
    _apply(at_once, 0.5)
    np.testing.assert_array_equal(at_once.average["b"], [[2.5]])


def test_best():
    """The average as it was when kept; the present one before."""
    weights = _weights()
    np.testing.assert_array_equal(weights.best["a"], [1.0, 2.0])
    _apply(weights, 0.5)
    kept = weights.best
    weights.keep_average()
    _apply(weights, 0.5)
    for name, value in kept.items():
        np.testing.assert_array_equal(weights.best[name], value)
        assert np.any(weights.average[name] != value)


@pytest.mark.parametrize("keep", [True, False])
def test_arrays_round_trip(keep):
    """Theta, average, best and the meta-optimizer's state."""
    one, other = _weights(), _weights()
    _apply(one, 0.5)
    if keep:
        one.keep_average()
    _apply(one, 0.25)
    other.restore(one.arrays())
    _apply(one, 1.0), _apply(other, 1.0)
    assert one.arrays().keys() == other.arrays().keys()
    for name, value in one.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], value)
    for name, value in one.best.items():
        np.testing.assert_array_equal(other.best[name], value)


def test_used_optimizer():
    """Its moments belong to another run."""
    optimizer = keras.optimizers.Adam()
    MetaWeights({"a": np.zeros(1, "float32")}, optimizer, 0.5)
    with pytest.raises(ValueError, match="`meta_optimizer` must be new"):
        MetaWeights({"a": np.zeros(1, "float32")}, optimizer, 0.5)
