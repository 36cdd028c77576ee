"""PerParameterMLP against the rule written in NumPy, tensor by tensor."""

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.rules import PerParameterMLP

pytestmark = pytest.mark.any_backend

SHAPES = [(3, 4), (5,), ()]


class _Reference:
    """The rule in float64, for one tensor."""

    def __init__(self, rule, theta, shape):
        self.horizon = rule.horizon
        self.theta = {name: value.astype("float64") for name, value in theta.items()}
        self.m = {decay: np.zeros(shape) for decay in (0.5, 0.9, 0.99)}
        self.v = np.zeros(shape)
        self.squares = []

    def update(self, g, w):
        self.squares.append(g**2)
        t = len(self.squares)
        self.m = {b: b * m + (1 - b) * g for b, m in self.m.items()}
        self.v = 0.99 * self.v + 0.01 * g**2
        v = self.v / (1 - 0.99**t) + 1e-12
        v_f = self._factored() / (1 - 0.99**t) + 1e-12
        m_hat = [m / (1 - b**t) / np.sqrt(v) for b, m in self.m.items()]
        scalars = [np.tanh(t / tau) for tau in (10, 100, 1000)]
        scalars.append(min(t / self.horizon, 1))
        x = np.stack(
            [
                *m_hat,
                g / np.sqrt(v),
                np.clip(g / np.sqrt(v_f), -10, 10),
                np.log(v / v_f) / 10,
                np.log(np.maximum(np.abs(g), np.exp(-10))) / 10,
                1 - m_hat[2] ** 2,
                w,
                *(np.full(g.shape, s) for s in scalars),
            ]
        ).reshape(13, -1)
        hidden = self.theta["hidden/kernel"] @ x + self.theta["hidden/bias"]
        o = self.theta["head/kernel"] @ np.maximum(hidden, 0) + self.theta["head/bias"]
        o = o.reshape(3, *g.shape)
        step = -0.01 * np.exp(np.clip(2 * o[1], -5, 2.5))
        decay = -0.0003 * np.exp(np.clip(2 * o[2], -6, 4))
        return step * (m_hat[1] + o[0]) + decay * w

    def _factored(self):
        """Adafactor, from all squared gradients so far."""
        average = sum(
            0.01 * 0.99**age * square for age, square in enumerate(self.squares[::-1])
        )
        if average.ndim < 2:
            return average
        r, c = average.mean(axis=1), average.mean(axis=0)
        return np.outer(r, c) / r.mean()


@pytest.mark.parametrize("head_bias", [0.0, 3.0, -4.0])
@pytest.mark.parametrize("horizon", [4, 1000])
def test_matches_numpy(head_bias, horizon):
    """Several steps agree; the head's bias reaches both ends of the clips."""
    rule = PerParameterMLP(units=5, horizon=horizon)
    theta = {name: 2 * value for name, value in rule.init_theta(seed=3).items()}
    theta["head/bias"] = theta["head/bias"] + np.float32(head_bias)
    rng, state = np.random.default_rng(0), rule.initial_state(SHAPES)
    references = [_Reference(rule, theta, shape) for shape in SHAPES]
    w = [rng.normal(size=shape) for shape in SHAPES]
    for step in range(1, 9):
        g = [rng.normal(size=s) * 10.0 ** rng.integers(-6, 2, size=s) for s in SHAPES]
        expected = [
            reference.update(*pair)
            for reference, *pair in zip(references, g, w, strict=True)
        ]
        d, state = rule.update(theta, _flat(g), _flat(w), state, step, SHAPES)
        d = ops.convert_to_numpy(d)
        np.testing.assert_allclose(d, _flat(expected), rtol=5e-4, atol=2e-6)
        w = [a + b for a, b in zip(w, expected, strict=True)]


def _flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


def test_at_most_six_floats_a_parameter():
    """What the design promises of its state, on a network's tensors."""
    shapes = [(784, 20), (20,), (20, 10), (10,), (3, 3, 16, 32)]
    leaves = keras.tree.flatten(PerParameterMLP().initial_state(shapes))
    parameters = sum(int(np.prod(shape)) for shape in shapes)
    assert sum(leaf.shape[0] * leaf.shape[1] for leaf in leaves) <= 6 * parameters


@pytest.mark.parametrize("arguments", [{"units": 0}, {"units": 2.5}, {"horizon": 0}])
def test_bad_arguments(arguments):
    """Each is named."""
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be an integer >= 1"):
        PerParameterMLP(**arguments)
