"""CoordinatewiseLSTM against an LSTM written in NumPy."""

import numpy as np
import pytest
from keras import ops

from lrlearn.rules import CoordinatewiseLSTM

pytestmark = pytest.mark.any_backend


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _log_and_sign(g):
    large = np.abs(g) >= np.exp(-10)
    log = np.where(large, np.log(np.abs(g)) / 10, -1.0)
    return log, np.where(large, np.sign(g), np.exp(10) * g)


class _Reference:
    """The rule in float64 and in the usual `[N, units]` layout, gate by gate."""

    def __init__(self, rule, theta, n):
        self.rule, self.n, self.t = rule, n, 0
        self.theta = {name: value.astype("float64") for name, value in theta.items()}
        self.h = [np.zeros((n, units)) for units in rule.units]
        self.c = [np.zeros((n, units)) for units in rule.units]
        self.m = self.v = np.zeros(n)

    def inputs(self, g, w):
        if self.rule.feature_set == "log":
            return np.stack(_log_and_sign(g), axis=1)
        self.m, self.v = 0.9 * self.m + 0.1 * g, 0.99 * self.v + 0.01 * g**2
        scale = np.sqrt(self.v / (1 - 0.99**self.t) + 1e-12)
        m_hat, g_hat = self.m / (1 - 0.9**self.t) / scale, g / scale
        return np.stack([m_hat, g_hat, w, *_log_and_sign(g)], axis=1)

    def update(self, g, w):
        self.t += 1
        x = features = self.inputs(g, w)
        for layer, units in enumerate(self.rule.units):
            kernel, recurrent, bias = (
                self.theta[f"lstm{layer}/{name}"].T
                for name in ("kernel", "recurrent", "bias")
            )
            gates = []
            for k in range(4):
                columns = slice(k * units, (k + 1) * units)
                gates.append(
                    x @ kernel[:, columns]
                    + self.h[layer] @ recurrent[:, columns]
                    + bias[:, columns]
                )
            i, f, candidate, o = gates
            self.c[layer] = _sigmoid(f) * self.c[layer]
            self.c[layer] = self.c[layer] + _sigmoid(i) * np.tanh(candidate)
            x = self.h[layer] = _sigmoid(o) * np.tanh(self.c[layer])
        out = x @ self.theta["head/kernel"].T + self.theta["head/bias"].T
        if self.rule.output == "scaled":
            return self.rule.output_scale * out[:, 0]
        m_hat, g_hat = features[:, 0], features[:, 1]
        step = -0.01 * np.exp(np.clip(2 * out[:, 1], -5, 2.5))
        decay = -0.0003 * np.exp(np.clip(2 * out[:, 2], -6, 4))
        return step * (m_hat + out[:, 0] * g_hat) + decay * w


@pytest.mark.parametrize(
    "rule",
    [
        CoordinatewiseLSTM((4, 3)),
        CoordinatewiseLSTM((5,), output_scale=0.01),
        CoordinatewiseLSTM((4,), "normalized"),
        CoordinatewiseLSTM((3, 2), "normalized", "adam"),
    ],
)
@pytest.mark.parametrize("head_bias", [0.0, 3.0, -4.0])
def test_matches_numpy(rule, head_bias):
    """Several steps agree; the head's bias reaches both ends of the clips."""
    n, rng = 6, np.random.default_rng(0)
    theta = {name: 2 * value for name, value in rule.init_theta(seed=3).items()}
    theta["head/bias"] = theta["head/bias"] + np.float32(head_bias)
    reference, state = _Reference(rule, theta, n), rule.initial_state(n)
    w = rng.normal(size=n)
    for step in range(1, 9):
        g = rng.normal(size=n) * 10.0 ** rng.integers(-6, 2, size=n)
        d, state = rule.update(theta, g, w, state, step)
        expected = reference.update(g, w)
        d = ops.convert_to_numpy(d)
        np.testing.assert_allclose(d, expected, rtol=2e-4, atol=1e-6)
        w = w + expected


def test_forget_biases_start_at_one():
    """Only the forget gates, the second quarter, have a bias at first."""
    theta = CoordinatewiseLSTM((3,)).init_theta()
    np.testing.assert_array_equal(
        theta["lstm0/bias"][:, 0], [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    )
    np.testing.assert_array_equal(theta["head/bias"], [[0.0]])


def test_kernels_are_glorot_uniform():
    """Within sqrt(6 / (fan in + fan out)), and filling that interval."""
    theta = CoordinatewiseLSTM((50,)).init_theta()
    for name, shape, scale in (
        ("lstm0/kernel", (200, 2), 1.0),
        ("lstm0/recurrent", (200, 50), 1.0),
        ("head/kernel", (1, 50), 0.1),
    ):
        limit = scale * np.sqrt(6 / sum(shape))
        assert theta[name].shape == shape
        assert 0.9 * limit < np.abs(theta[name]).max() <= limit


def test_an_untrained_adam_head_descends():
    """With zero weights the update is Adam's of step 0.01, and a small decay."""
    rule = CoordinatewiseLSTM((4,), "normalized", "adam")
    theta = {name: np.zeros_like(v) for name, v in rule.init_theta().items()}
    g, w = np.float32([3.0, -0.2]), np.float32([2.0, 1.0])
    d, _ = rule.update(theta, g, w, rule.initial_state(2), step=1)
    expected = -0.01 * np.sign(g) - 0.0003 * w
    np.testing.assert_allclose(ops.convert_to_numpy(d), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": ()}, "`units` must be a tuple of integers"),
        ({"units": 20}, "`units` must be a tuple of integers.*Received: units=20"),
        ({"output_scale": float("nan")}, "`output_scale` must be a finite number"),
        ({"output_scale": "1"}, "`output_scale` must be .*Received: output_scale='1'"),
        ({"units": (4, 0)}, "`units` must be an integer >= 1. Received: units=0"),
        ({"units": (2.5,)}, "`units` must be an integer >= 1. Received: units=2.5"),
        ({"features": "raw"}, r"one of \('log', 'normalized'\).*features='raw'"),
        ({"output": "sgd"}, r"one of \('scaled', 'adam'\).*output='sgd'"),
        ({"output": "adam"}, "needs `features=\"normalized\"`.*features='log'"),
    ],
)
def test_bad_arguments(arguments, message):
    """The error says the rule and what came."""
    with pytest.raises(ValueError, match=message):
        CoordinatewiseLSTM(**arguments)


def test_large_states_are_laid_out_by_unit():
    """Memory is `[units, n]` for each layer, accumulators `[1, n]`."""
    state = CoordinatewiseLSTM((4, 3), "normalized").initial_state(10)
    shapes = {name: tuple(s.shape) for name, s in state["memory"].items()}
    assert shapes == {"h0": (4, 10), "c0": (4, 10), "h1": (3, 10), "c1": (3, 10)}
    assert all(s.shape == (1, 10) for s in state["accumulators"].values())
    assert all(ops.all(s == 0) for s in state["memory"].values())
