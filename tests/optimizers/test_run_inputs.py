"""LearnedOptimizer with a rule that is told about the run that it is in."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.optimizers import LearnedOptimizer
from lrlearn.rules import CoordinatewiseLSTM, Run, ScheduledMLP, UpdateRule
from tests.optimizers.conftest import assert_close, small_model
from tests.rules.test_contract import large_theta

pytestmark = pytest.mark.any_backend

BACKEND = keras.backend.backend()
DIAL = ScheduledMLP(units=4, default_rho=0.05)
NO_DIAL = ScheduledMLP(units=4)
SHAPES = [(4, 3), (3,)]
TOLD = {"total_steps": 12.0, "epochs": 3.0, "rho": 0.3}


def _optimizer(rule=DIAL, **kwargs):
    return LearnedOptimizer(rule, large_theta(rule), **kwargs)


def _draw(steps, seed=0):
    """Returns gradients of each tensor at each step."""
    rng = np.random.default_rng(seed)
    return [[np.float32(rng.normal(size=s)) for s in SHAPES] for _ in range(steps)]


def _flat(tensors):
    return np.concatenate([np.ravel(t) for t in tensors])


def _by_hand(rule, steps, runs):
    """Returns the values after each step, given what the rule is told at each."""
    theta, state, w, history = large_theta(rule), rule.initial_state(SHAPES), None, []
    w = np.ones(15, "float32")
    for step, (g, run) in enumerate(zip(steps, runs, strict=True), 1):
        d, state = rule.update(theta, _flat(g), w, state, step, SHAPES, run=run)
        w = w + ops.convert_to_numpy(d)
        history.append(w)
    return history


def _apply(optimizer, steps, told=()):
    """Returns the values after each step; before each, some attributes are set."""
    variables, history = [keras.Variable(np.ones(s)) for s in SHAPES], []
    for i, gradients in enumerate(steps):
        for name, value in dict(told[i] if told else {}).items():
            setattr(optimizer, name, value)
        optimizer.apply([ops.convert_to_tensor(g) for g in gradients], variables)
        history.append(_flat([v.numpy() for v in variables]))
    return history


@pytest.mark.parametrize("rule", [NO_DIAL, DIAL], ids=["no dial", "dial"])
@pytest.mark.parametrize("known", [True, False])
def test_it_is_the_rule(rule, known):
    """Which is told what the user says, and otherwise the rule's own dial."""
    told = {name: TOLD[name] for name in rule.run_inputs} if known else {}
    run = Run(**{"rho": rule.default_rho or 0.0, **told})
    steps = _draw(5)
    received = _apply(_optimizer(rule, **told), steps)
    assert_close(received, _by_hand(rule, steps, [run] * 5))
    assert np.abs(received[-1] - 1).max() > 1e-4


def test_values_can_be_set():
    """They act from the next step on; `None` takes them back."""
    told = [{}, TOLD, {"rho": 0.01}, {"total_steps": 8}, dict.fromkeys(TOLD)]
    default = Run(rho=0.05)
    runs = [
        default,
        Run(12.0, 3.0, 0.3),
        Run(12.0, 3.0, 0.01),
        Run(8.0, 3.0, 0.01),
        default,
    ]
    steps = _draw(5)
    assert_close(_apply(_optimizer(), steps, told), _by_hand(DIAL, steps, runs))


def test_values_can_be_read():
    """As floats; what is not known is `None`, and what a rule is not told."""
    optimizer = _optimizer(total_steps=np.int64(5), rho=0)
    assert (optimizer.total_steps, optimizer.epochs, optimizer.rho) == (5.0, None, 0.0)
    optimizer.total_steps = optimizer.rho = None
    assert (optimizer.total_steps, optimizer.rho) == (None, pytest.approx(0.05))
    rule = ScheduledMLP(units=4, default_rho=[(10, 0.1), (100, 0.2)])
    optimizer = _optimizer(rule, epochs=100)
    assert optimizer.rho == pytest.approx(0.2)
    optimizer.epochs = None
    assert optimizer.rho == pytest.approx(0.1)
    for rule in (NO_DIAL, CoordinatewiseLSTM()):
        assert LearnedOptimizer(rule).rho is None
    assert LearnedOptimizer(CoordinatewiseLSTM()).total_steps is None


@pytest.mark.parametrize("run_eagerly", [True, False], ids=["eager", "graph"])
def test_fit_sees_what_is_set(fit, monkeypatch, run_eagerly):
    """Between two calls, and without tracing anew."""
    calls, update = [], ScheduledMLP.update

    def counted(*args, **kwargs):
        calls.append(1)
        return update(*args, **kwargs)

    monkeypatch.setattr(ScheduledMLP, "update", counted)
    results, numbers = [], []
    for first, then in ((TOLD, {}), ({}, TOLD)):
        optimizer = _optimizer(learning_rate=0.0, **first)
        model = small_model(optimizer, run_eagerly=run_eagerly)
        fit(model)
        for name, value in {**then, "learning_rate": 1.0}.items():
            setattr(model.optimizer, name, value)
        calls.clear()
        fit(model, epochs=2)
        numbers.append(len(calls))
        results.append(_flat(model.get_weights()))
    np.testing.assert_array_equal(*results)
    traced = BACKEND != "torch" and not run_eagerly
    assert numbers == [0 if traced else 6] * 2


@pytest.mark.parametrize(
    ("total_steps", "iterations", "expected"),
    [
        (None, 10**3, 0.5),
        (None, 10**6, 0.5),
        (10**3, 999, 1e-3),
        (10**3, 10**6, 1e-3),
    ],
)
def test_the_size_of_steps(total_steps, iterations, expected):
    """Without a length they do not fall to zero; past it they stay as at its end."""
    optimizer = LearnedOptimizer(DIAL, DIAL.init_theta(), total_steps=total_steps)
    optimizer.iterations.assign(iterations)
    variable = keras.Variable(np.zeros(3, "float32"))
    optimizer.apply([ops.convert_to_tensor(np.float32([1, -1, 1]))], [variable])
    step = np.abs(variable.numpy()) / (0.003 * np.sqrt(1.001))
    np.testing.assert_allclose(step, expected, rtol=2e-3)


def test_past_the_end():
    """Steps are finite and small, whatever the gradients."""
    steps = _draw(9)
    steps[5:7] = [[0 * g for g in steps[5]], [1e30 * g for g in steps[6]]]
    values = _apply(_optimizer(total_steps=3), steps)
    assert np.isfinite(values).all()
    sizes = np.abs(np.diff(values, axis=0)).max(axis=1)
    assert sizes[3:].max() < 0.7 * sizes[0]


def _told(optimizer):
    return {name: getattr(optimizer, name) for name in TOLD}


@pytest.mark.parametrize("kind", ["model", "weights"])
def test_saved(fit, tmp_path, kind):
    """Values come back, those that were set later, and training ends the same."""
    model = small_model(_optimizer(total_steps=4))
    fit(model)
    model.optimizer.total_steps, model.optimizer.rho = 20, 0.25
    if kind == "model":
        model.save(tmp_path / "model.keras")
        other = keras.models.load_model(tmp_path / "model.keras")
    else:
        model.save_weights(tmp_path / "a.weights.h5")
        other = small_model(_optimizer(epochs=3))
        other.optimizer.build(other.trainable_variables)
        other.load_weights(tmp_path / "a.weights.h5")
    assert _told(other.optimizer) == {"total_steps": 20, "epochs": None, "rho": 0.25}
    np.testing.assert_array_equal(fit(other, epochs=2), fit(model, epochs=2))
    for a, b in zip(
        [*model.variables, *model.optimizer.variables],
        [*other.variables, *other.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("told", [{}, TOLD, {"rho": 0.0}])
def test_config(told):
    """Through JSON, as set last; a rule that is told nothing has no such keys."""
    optimizer = _optimizer()
    for name, value in told.items():
        setattr(optimizer, name, value)
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    other = keras.optimizers.deserialize(config)
    expected = {"total_steps": None, "epochs": None, "rho": 0.05, **told}
    for each in (optimizer, other):
        assert _told(each) == pytest.approx(expected)
        assert each.get_config() == optimizer.get_config()
    assert "rho" not in _optimizer(NO_DIAL).get_config()
    assert not TOLD.keys() & LearnedOptimizer(CoordinatewiseLSTM()).get_config().keys()


def test_a_copy_has_the_default_of_the_dial():
    """Not what it comes to for the epochs that are known by now."""
    rule = ScheduledMLP(units=4, default_rho=[(10, 0.1), (100, 0.2)])
    optimizer = LearnedOptimizer.from_config(LearnedOptimizer(rule).get_config())
    assert optimizer.rho == pytest.approx(0.1)
    optimizer.epochs = 100
    assert optimizer.rho == pytest.approx(0.2)


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))],
)
def test_copies(duplicate):
    """Have the values, and are told their own from then on."""
    optimizer = _optimizer(**TOLD)
    other = duplicate(optimizer)
    assert _told(other) == _told(optimizer)
    other.total_steps = 77
    assert (optimizer.total_steps, other.total_steps) == (12, 77)
    other.total_steps = 12
    steps = _draw(2)
    np.testing.assert_array_equal(_apply(other, steps), _apply(optimizer, steps))


@pytest.mark.parametrize("value", [-1, -0.5, float("inf"), float("nan"), 1e300, "9"])
@pytest.mark.parametrize("name", TOLD)
def test_refused_values(name, value):
    """The error has the rule and what came; the old value stays."""
    message = (
        f"`{name}` must be a finite number, at least 0. Received: {name}={value!r}"
    )
    with pytest.raises(ValueError) as error:
        _optimizer(**{name: value})
    assert str(error.value) == message
    optimizer = _optimizer(**TOLD)
    with pytest.raises(ValueError) as error:
        setattr(optimizer, name, value)
    assert str(error.value) == message
    assert _told(optimizer) == pytest.approx(TOLD)


@pytest.mark.parametrize(
    ("rule", "name", "inputs"),
    [
        (CoordinatewiseLSTM((4,)), "total_steps", "none"),
        (CoordinatewiseLSTM((4,)), "rho", "none"),
        (NO_DIAL, "rho", "total_steps, epochs"),
    ],
)
def test_refused_inputs(rule, name, inputs):
    """A rule that would not listen is not told; `None` is no value."""
    message = (
        f"`{name}` must be an input of the rule {type(rule).__name__}, whose inputs "
        f"are: {inputs}. Received: {name}=0.5"
    )
    with pytest.raises(ValueError) as error:
        LearnedOptimizer(rule, **{name: 0.5})
    assert str(error.value) == message
    optimizer = LearnedOptimizer(rule, **{name: None})
    setattr(optimizer, name, None)
    with pytest.raises(ValueError) as error:
        setattr(optimizer, name, 0.5)
    assert str(error.value) == message


def test_names():
    """The values stand before theta, so the order does not hang on the rule's."""
    optimizer = _optimizer(name="mine")
    theta = [name.replace("/", "_") for name in sorted(DIAL.theta_shapes())]
    names = [variable.path for variable in optimizer.variables]
    counters = ["iteration", "learning_rate"]
    assert names == [f"mine/{n}" for n in (*counters, *TOLD, *theta)]


class _Norms(UpdateRule):
    """Steps of a length `rho` for each tensor, which counts its own."""

    run_inputs = ("rho",)

    def init_theta(self, seed=0):
        return {"scale": np.ones((1, 1), "float32")}

    def init_statistics(self, shapes):
        return {"count": ops.zeros((1, len(shapes)))}

    def initial_state(self, shapes):
        shapes = [(shapes,)] if isinstance(shapes, int) else shapes
        statistics = self.init_statistics(shapes)
        return {"statistics": statistics, "accumulators": {}, "memory": {}}

    def update(self, theta, gradient, parameter, state, step, shapes=None, *, run=None):
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = ops.split(gradient, list(ends[:-1]))
        rho = -ops.cast(run.rho, "float32") * theta["scale"][0]
        d = ops.concatenate([rho * g / (ops.norm(g) + 1e-9) for g in parts])
        count = state["statistics"]["count"] + 1.0
        return d, {**state, "statistics": {"count": count}}

    def get_config(self):
        return {}


class _Forgetful(_Norms):
    """Lacks a method: its statistics are in `initial_state` alone."""

    def initial_state(self, shapes):
        return {**super().initial_state(shapes), "statistics": {"n": ops.zeros((1, 1))}}

    def init_statistics(self, shapes):
        return {}


def test_statistics_are_those_of_the_state():
    rule = _Forgetful()
    optimizer = LearnedOptimizer(rule, rule.init_theta())
    message = r"`init_statistics` of _Forgetful must .*\['n'\]. Received: \[\]"
    with pytest.raises(ValueError, match=message):
        optimizer.build([keras.Variable([1.0, 2.0])])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_rule_of_ones_own():
    """It need not take coordinates by themselves, nor have a default."""
    optimizer = LearnedOptimizer(_Norms(), _Norms().init_theta())
    w = [keras.Variable(np.zeros(shape)) for shape in SHAPES]
    assert optimizer.rho == 0 and optimizer.total_steps is None
    optimizer.rho = 0.5
    for g, h in ((1.0, 1.0), (-1.0, None)):
        gradients = [x and ops.full(s, x) for x, s in zip((g, h), SHAPES, strict=True)]
        optimizer.apply(gradients, w)
    np.testing.assert_allclose(w[0].numpy(), 0, atol=1e-6)
    np.testing.assert_allclose(w[1].numpy(), -0.5 / np.sqrt(3), rtol=1e-5)
    np.testing.assert_array_equal(optimizer.variables[-1].numpy(), [[2, 1]])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
def test_a_variable_without_gradient_keeps_its_state():
    """While the other's moves, at a step of the same number."""
    (g, _), (_, h), (k, l) = _draw(3)
    steps, w = (
        [(g, None), (None, h), (k, l)],
        [keras.Variable(np.ones(s)) for s in SHAPES],
    )
    optimizer, states = _optimizer(**TOLD), []
    for gradients in steps:
        gradients = [x if x is None else ops.convert_to_tensor(x) for x in gradients]
        optimizer.apply(gradients, w)
        states.append([v.numpy() for v in optimizer.variables[-2:]])  # moments
    for i, (first, second, third) in enumerate(zip(*states, strict=True)):
        assert not first[:, 12:].any() and first[:, :12].any()
        np.testing.assert_array_equal(second[:, :12], first[:, :12])
        assert second[:, 12:].any() and (third != second).any(axis=0).all(), i
