"""ScheduledMLP against the rule written in NumPy, tensor by tensor."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.rules import Run, ScheduledLSTM, ScheduledMLP
from lrlearn.rules.tensor_context import TensorContext
from lrlearn.rules.tensor_groups import TensorGroups
from lrlearn.rules.tensor_statistics import TensorStatistics, average, unbiased, zeros
from tests.rules.test_contract import large_theta

pytestmark = pytest.mark.any_backend

SHAPES = [(30, 4), (6, 3), (5,), (2, 2, 3, 2), ()]


def _rms(x):
    return np.sqrt(np.mean(np.square(x)))


class Reference:
    """The rule in float64, for one tensor."""

    def __init__(self, shape, theta, total_steps, epochs, rho=None):
        self.matrix, self.shape = len(shape) > 1, shape
        self.fan_in = int(np.prod(shape[:-1])) if self.matrix else 1
        self.theta = {name: value.astype("float64") for name, value in theta.items()}
        self.total_steps, self.epochs, self.rho = total_steps, epochs, rho
        self.gradients = []

    def update(self, g, w):
        self.gradients.append(g)
        t = len(self.gradients)
        self.fast, self.slow = self._average(0.9), self._average(0.99)
        self.v = self._average(0.99, power=2)
        self.a = self.fast / np.sqrt(self.v)
        z = self._context(g, w, t / self.total_steps, t)[:, None]
        x = np.stack([np.ravel(feature) for feature in self._features(g, w)])
        o = self.direction(np.clip(x, -5, 5), z)
        s, decay = self.layer("schedule/head", np.tanh(self.layer("schedule", z)))[:, 0]
        u = self.a / _rms(self.a) + o.reshape(g.shape)
        u *= np.sqrt(min(_rms(self.a), 1) + 1e-3) / _rms(u)
        step, decay = (np.exp(np.clip(3 * value, -6, 4)) for value in (s, decay))
        return -self._nominal(t) * step * (u + 0.1 * decay * w)

    def layer(self, name, x):
        return self.theta[f"{name}/kernel"] @ x + self.theta[f"{name}/bias"]

    def direction(self, x, z):
        hidden = self.layer("hidden", x) + self.theta["hidden/context"] @ z
        return self.layer("head", np.maximum(hidden, 0))

    def _average(self, decay, power=1):
        """The bias-corrected moving average, from all gradients so far."""
        weights = decay ** np.arange(len(self.gradients))[::-1]
        weights /= weights.sum()
        return sum(k * g**power for k, g in zip(weights, self.gradients, strict=True))

    def _coherence(self):
        if not self.matrix:
            return 0.0
        means = self.a.reshape(self.fan_in, -1).mean(axis=0)
        return np.sqrt(self.fan_in) * _rms(means) / _rms(self.a)

    def _nominal(self, t):
        width = np.clip(784 / self.fan_in, 0.05, 2.5) if self.matrix else 1.0
        warm_up = min(1.0, t / (0.06 * self.total_steps))
        schedule = (1 - (t - 1) / self.total_steps) * warm_up
        return 0.003 * width * schedule / max(1.0, self._coherence() / 8)

    def _context(self, g, w, progress, t):
        dial = [] if self.rho is None else [(np.log(self.rho + 0.005) + 3.2) / 1.5]
        return np.array(
            [
                np.log(_rms(w) + 1e-3) / 3,
                np.log(_rms(self.a) + 1e-3),
                np.log(_rms(self.slow / np.sqrt(self.v)) + 1e-3),
                np.mean(self.fast * g) / (_rms(self.fast) * _rms(g)),
                np.log(_rms(self.fast) / _rms(self.slow) + 1e-3),
                np.log(1 + self._coherence()) / 2,
                float(self.matrix),
                np.log(self.fan_in if self.matrix else 1) / 5,
                np.log(max(g.size, 1)) / 8,
                2 * progress - 1,
                np.log(1.02 - progress) / 3,
                np.tanh(t / 10),
                np.tanh(t / 100),
                np.log(self.total_steps) / 7 - 1,
                np.log(self.epochs) / 5,
                progress * np.log(self.epochs) / 5,
                *dial,
                *(5 * self.rho for _ in dial),
            ]
        )

    def _features(self, g, w):
        scale, log_v = np.sqrt(self.v), np.log(self.v)
        v = self.v.reshape(self.fan_in, -1)
        v_f = np.outer(v.mean(axis=1), v.mean(axis=0)) / v.mean()
        yield from (self.fast / scale, self.slow / scale, g / scale)
        yield from (value / _rms(value) for value in (self.fast, g, w))
        yield self.fast / np.sqrt(v_f).reshape(g.shape)
        yield log_v - log_v.mean()


def _flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


def check(rule, theta, shapes, steps, run, coherent=False, reference=Reference):
    """Compares some steps of a rule with those of the reference."""
    rng, state = np.random.default_rng(0), rule.initial_state(shapes)
    rho = None if rule.default_rho is None else run.rho
    references = [reference(s, theta, *run[:2], rho) for s in shapes]
    w = [rng.normal(size=shape) for shape in shapes]
    for step in range(1, steps + 1):
        g = [rng.normal(size=s) * 10.0 ** rng.integers(-4, 2, size=s) for s in shapes]
        g = [np.abs(x) if coherent else x for x in g]
        expected = [
            reference.update(*pair)
            for reference, *pair in zip(references, g, w, strict=True)
        ]
        d, state = rule.update(theta, _flat(g), _flat(w), state, step, shapes, run=run)
        ends = np.cumsum([x.size for x in expected])[:-1]
        for one, other in zip(
            np.split(ops.convert_to_numpy(d), ends), expected, strict=True
        ):
            np.testing.assert_allclose(
                one, other.ravel(), rtol=0, atol=2e-4 * np.abs(other).max()
            )
        w = [a + b for a, b in zip(w, expected, strict=True)]


@pytest.mark.parametrize("total_steps", [10, 200])
@pytest.mark.parametrize("coherent", [False, True])
def test_untrained(total_steps, coherent):
    """Normalized Adam with warm-up, linear decay, fan-in factor and coherence cap."""
    rule = ScheduledMLP()
    shapes = [(400, 2), (5, 2), (4,)]
    run = Run(total_steps=total_steps, epochs=10)
    check(rule, rule.init_theta(), shapes, 10, run, coherent)


@pytest.mark.parametrize("head_bias", [0.0, 2.0, -2.5])
@pytest.mark.parametrize("rho", [None, 0.2])
def test_matches_numpy(head_bias, rho):
    """Several steps agree; the head's bias reaches both ends of the clips."""
    rule = ScheduledMLP(units=5, default_rho=rho and 0.05)
    theta = large_theta(rule)
    theta["schedule/head/bias"] = theta["schedule/head/bias"] + np.float32(head_bias)
    theta["head/bias"] = theta["head/bias"] + np.float32(head_bias)
    check(rule, theta, SHAPES, 6, Run(40, 3, rho or 0.0))


def _update(shape, run=None, step=1, g=None, w=0.0, rule=None, theta=None):
    """Returns a rule's update of one tensor in its first step, by default untrained."""
    rule = rule or ScheduledMLP()
    theta = rule.init_theta() if theta is None else theta
    g = np.arange(np.prod(shape)) % 2 * 2.0 - 1 if g is None else g
    w, state = np.full(g.shape, w), rule.initial_state([shape])
    d, _ = rule.update(theta, g, w, state, step, [shape], run=run)
    return ops.convert_to_numpy(d)


def test_first_step_by_hand():
    """Of a vector: Adam's signs, a sixth of the way into the warm-up, and decay."""
    g, step = np.array([1.0, -2.0, 30.0]), 0.003 / 6
    d = _update((3,), Run(total_steps=100), g=g, w=0.5)
    expected = -step * (np.sqrt(1.001) * np.sign(g) + 0.1 * 0.5)
    np.testing.assert_allclose(d, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "factor"),
    [
        ((2, 8), 2.5),
        ((784, 1), 1.0),
        ((2, 2, 400, 1), 0.49),
        ((16_000, 1), 0.05),
        ((30,), 1.0),
        ((0, 3), 1.0),
    ],
)
def test_fan_in(shape, factor):
    """Wider units take smaller steps, within limits; a vector's are as they are."""
    step = np.abs(_update(shape, Run(total_steps=100)))
    np.testing.assert_allclose(step, factor * np.sqrt(1.001) * 0.003 / 6, rtol=1e-4)


@pytest.mark.parametrize(("fan_in", "factor"), [(16, 2.5), (64, 2.5), (256, 1.25)])
def test_coherence_cap(fan_in, factor):
    """If all weights of a unit move together, steps fall from a fan-in of 64 on."""
    d = _update((fan_in, 2), Run(total_steps=100), g=np.ones(2 * fan_in))
    np.testing.assert_allclose(-d, factor * np.sqrt(1.001) * 0.003 / 6, rtol=1e-4)


@pytest.mark.parametrize(
    ("step", "total_steps", "factor"),
    [
        (3, 100, 0.98 * 0.5),  # half of the warm-up
        (6, 100, 0.95),
        (51, 100, 0.5),
        (100, 100, 0.01),
        (101, 100, 0.01),  # past the end: as at the end
        (10**7, 100, 0.01),
        (1, 1, 1.0),
        (30, 0, 0.971 * 0.5),  # not known: 1,000 steps
        (500, 0, 0.501),
        (10**6, 0, 0.5),  # and then twice as many as so far
    ],
)
def test_schedule(step, total_steps, factor):
    """Warm-up and linear decay, whatever is known of the length."""
    g = np.array([1.0, -1.0])
    state = {"m": ops.zeros((2, 2)), "v": ops.zeros((1, 2))}
    # As if all gradients so far had been the same.
    weights = [[1 - 0.9 ** (step - 1)], [1 - 0.99 ** (step - 1)]]
    state["m"] = ops.convert_to_tensor(np.float32(weights * g))
    state["v"] = ops.convert_to_tensor(np.float32(weights[1:] * g**2))
    rule = ScheduledMLP()
    state = rule.initial_state(2) | {"accumulators": state}
    run = Run(total_steps=total_steps)
    d, _ = rule.update(rule.init_theta(), g, 0 * g, state, step, run=run)
    expected = -0.003 * factor * np.sqrt(1.001) * g
    np.testing.assert_allclose(ops.convert_to_numpy(d), expected, rtol=2e-4)


@pytest.mark.parametrize(
    ("run", "step", "expected"),
    [
        (Run(), 1, (1000, 10, -1, 1)),
        (Run(), 499, (1000, 10, -1, 499)),
        (Run(), 501, (1002, 10, -1, 501)),
        (Run(total_steps=20, epochs=3, rho=0.1), 7, (20, 3, 0.1, 7)),
        (Run(total_steps=20), 20, (20, 10, -1, 20)),
        (Run(total_steps=20), 35, (20, 10, -1, 20)),
        (Run(epochs=2.5), 2000, (4000, 2.5, -1, 2000)),
    ],
)
def test_resolve(run, step, expected):
    """Without a length half of the run is to come; past the end, it stays there."""
    run, t = run.resolve(step)
    received = [ops.convert_to_numpy(value) for value in (*run, t)]
    assert all(value.dtype == np.float32 for value in received)
    np.testing.assert_allclose(received, expected, rtol=1e-7)


def test_nothing_known_is_the_default():
    """No `Run` is one without anything."""
    np.testing.assert_array_equal(_update((3, 2)), _update((3, 2), Run()))


@pytest.mark.parametrize("make", [ScheduledMLP, ScheduledLSTM])
def test_the_dial(make):
    """Two more inputs for rules that have one, also if its default is zero."""
    for default_rho, inputs in ((None, 16), (0.0, 18), (0.05, 18)):
        rule = make(default_rho=default_rho)
        assert rule.num_context == inputs
        assert rule.theta_shapes()["schedule/kernel"] == (16, inputs)
        dial = () if default_rho is None else ("rho",)
        assert rule.run_inputs == ("total_steps", "epochs", *dial)
        setting = float(rule.dial(Run().resolve(1)[0]))
        assert setting == pytest.approx(default_rho or 0.0)


@pytest.mark.parametrize(
    ("epochs", "rho"), [(0, 0.06), (2, 0.0), (5, 0.0), (20, 0.1), (50, 0.16)]
)
def test_the_default_of_the_dial_may_depend_on_the_epochs(epochs, rho):
    """It is linear in their logarithm; without a number there are 10 of them."""
    rule = ScheduledMLP(default_rho=[(5, 0.0), (10, 0.06), (40, 0.14), (50, 0.16)])
    told, theta = Run(100, epochs), large_theta(rule)
    received, expected, other = (
        _update((3, 2), told._replace(rho=setting), rule=rule, theta=theta)
        for setting in (-1, rho, rho + 0.01)
    )
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    assert np.abs(received / other - 1).max() > 1e-3
    again = ScheduledMLP(**json.loads(json.dumps(rule.get_config())))
    assert again.get_config() == rule.get_config()


def test_three_numbers_a_parameter():
    """What the design promises of its state."""
    state = ScheduledMLP().initial_state([(784, 20), (20,), (3, 3, 16, 32)])
    n = 784 * 20 + 20 + 3 * 3 * 16 * 32
    leaves = keras.tree.flatten(state)
    assert sum(leaf.shape[0] for leaf in leaves) == 3
    assert all(leaf.shape[1] == n for leaf in leaves)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` must be an integer >= 1. Received: units=0"),
        ({"units": 2.5}, "`units` must be an integer >= 1. Received: units=2.5"),
        ({"default_rho": -0.1}, "`default_rho` must .* Received: default_rho=-0.1"),
        ({"default_rho": float("inf")}, "`default_rho` must be a finite number"),
        ({"default_rho": float("nan")}, "`default_rho` must be a finite number"),
        ({"default_rho": []}, "must be a number, or pairs .* Received: .*=\\[\\]"),
        ({"default_rho": [1, 2]}, "must be a number, or pairs of a number of epochs"),
        ({"default_rho": [(0, 0.1)]}, "must be positive, and grow. Received: "),
        ({"default_rho": [(5, 0.1), (4, 0.2)]}, "must be positive, and grow. Received"),
        ({"default_rho": [(5, -1)]}, "`default_rho` must be .* Received: .*=-1"),
        ({"default_rho": "0.1"}, "finite number, at least 0. Received: .*='0.1'"),
    ],
)
def test_bad_arguments(arguments, message):
    """Each is named."""
    with pytest.raises(ValueError, match=message):
        ScheduledMLP(**arguments)
    if "units" not in arguments:
        with pytest.raises(ValueError, match=message):
            ScheduledLSTM(**arguments)


def _statistics(shape, *gradients):
    """Returns a tensor's statistics and context after some gradients."""
    moments = zeros(gradients[0].size)
    for g in gradients:
        g = ops.convert_to_tensor(g.ravel(), "float32")
        moments = average(g, moments)
    groups = TensorGroups([shape])
    moments = unbiased(moments, len(gradients))
    (part,) = groups.split_structure((g, ops.ones_like(g), moments))
    statistics = TensorStatistics(*part)
    return statistics, TensorContext(groups.kinds, statistics.means())


def _features(shape, *gradients):
    statistics, known = _statistics(shape, *gradients)
    return ops.convert_to_numpy(statistics.features(known.scales))


@pytest.mark.parametrize(
    ("shape", "sign", "expected"),
    [
        ((9, 4), lambda i, j: 1.0, 3.0),
        ((3, 3, 4), lambda i, j: (-1.0) ** j, 3.0),  # each unit its own way
        ((8, 4), lambda i, j: (-1.0) ** i, 0.0),  # a unit's weights cancel
        ((36,), lambda i, j: 1.0, 0.0),  # a vector has none
    ],
)
def test_coherence(shape, sign, expected):
    """From 0 to the root of the fan-in, whatever the gradients' sizes."""
    size = int(np.prod(shape))
    index = np.arange(size)
    sizes = 10.0 ** np.random.default_rng(0).uniform(-3, 3, size)
    _, known = _statistics(shape, sign(index // 4, index % 4) * sizes)
    assert float(known.coherence[0]) == pytest.approx(expected, abs=1e-4)


def test_factored_second_moment():
    """Adafactor's is exact for gradients of rank 1: as Adam's."""
    g = np.outer([1.0, 2.0, -3.0], [0.1, 10.0])
    x = _features((3, 2), g, g)
    assert x.shape == (8, 1, 3, 2)
    np.testing.assert_allclose(x[6, 0], np.sign(g), rtol=1e-4)
    np.testing.assert_allclose(x[6], x[0], rtol=1e-4)


def test_features_by_hand():
    """After one gradient: Adam's are its signs, the others in units of the tensor's."""
    g = np.array([[3.0, -4.0]])
    x = _features((1, 2), g)[:, 0, 0]
    rms = np.sqrt(12.5)
    expected = [*[[1, -1]] * 3, *[[3 / rms, -4 / rms]] * 2, [1, 1], [1, -1]]
    np.testing.assert_allclose(x[:7], expected, rtol=1e-5)
    np.testing.assert_allclose(x[7], np.log([3 / 4, 4 / 3]), rtol=1e-5)


def test_features_do_not_depend_on_the_scale():
    """A loss times 1,000 gives the same."""
    g = np.random.default_rng(0).normal(size=(2, 3, 4))
    one, other = (_features((3, 4), *(scale * g)) for scale in (1.0, 1e3))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)
