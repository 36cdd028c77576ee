"""What every update rule must do, and what one that takes each coordinate by itself."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from lrlearn.rules import (
    CoordinatewiseLSTM,
    CoordinatewiseRule,
    PerParameterMLP,
    Run,
    ScheduledLSTM,
    ScheduledMLP,
    UpdateRule,
)

pytestmark = pytest.mark.any_backend

RULES = {
    "log/scaled": CoordinatewiseLSTM(units=(20, 20)),
    "normalized/scaled": CoordinatewiseLSTM(units=(6,), features="normalized"),
    "normalized/adam": CoordinatewiseLSTM((10, 10), "normalized", "adam"),
    "small": CoordinatewiseLSTM((3, 2), "log", output_scale=0.5),
    "mlp": PerParameterMLP(),
    "mlp/large": PerParameterMLP(units=32, horizon=10),
    "scheduled": ScheduledMLP(),
    "scheduled/dial": ScheduledMLP(units=4, default_rho=0.05),
    "scheduled/lstm": ScheduledLSTM(units=(5,), default_rho=0.0),
}
COORDINATEWISE = [n for n, r in RULES.items() if isinstance(r, CoordinatewiseRule)]
N = 7
SHAPES = [(4, 3), (), (2, 3, 5), (6,), (0,), (1, 7), (0, 4), (4, 0), (4, 3), (6,)]
SIZES = [int(np.prod(shape)) for shape in SHAPES]
BACKEND = keras.backend.backend()
MODES = {"tensorflow": ["eager", "graph", "XLA"], "jax": ["eager", "XLA"]}


@pytest.fixture(params=RULES, name="rule")
def _rule(request):
    return RULES[request.param]


@pytest.fixture(params=COORDINATEWISE, name="coordinatewise")
def _coordinatewise(request):
    return RULES[request.param]


def large_theta(rule, seed=1):
    """Returns weights so large that no part of the rule is close to linear."""
    rng, theta = np.random.default_rng(seed), rule.init_theta(seed)
    for name, value in theta.items():
        if name.endswith("head/kernel") and not value.any():
            theta[name] = rng.normal(scale=0.1, size=value.shape).astype("float32")
    return {name: 3.0 * value for name, value in theta.items()}


def _gradients(n=N, steps=3, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, n)).astype("float32")


def _run(rule, theta, gradients, w=None, state=None):
    """Returns all updates, `[steps, n]`, and the last parameter and state."""
    n = gradients[0].shape[0]
    w = np.linspace(-1.0, 1.0, n, dtype="float32") if w is None else w
    state = rule.initial_state(n) if state is None else state
    updates = []
    for step, g in enumerate(gradients, start=1):
        d, state = rule.update(theta, g, w, state, step)
        updates.append(ops.convert_to_numpy(d))
        w = w + updates[-1]
    return np.stack(updates), w, keras.tree.map_structure(ops.convert_to_numpy, state)


def _run_shapes(rule, theta, shapes, gradients, mode="eager"):
    """Returns all updates of tensors side by side, `[steps, n]`."""
    rule = rule.for_xla() if mode == "XLA" else rule

    def update(g, state, step):
        return rule.update(theta, g, ops.ones_like(g), state, step, shapes)

    if mode != "eager":
        update = compiled(update, mode)
    state, updates = rule.initial_state(shapes), []
    for step, g in enumerate(gradients, start=1):
        d, state = update(ops.convert_to_tensor(g), state, _scalar(step))
        updates.append(ops.convert_to_numpy(d))
    for leaf in keras.tree.flatten(state):
        assert np.isfinite(ops.convert_to_numpy(leaf)).all()
    return np.stack(updates)


def _scalar(step):
    return ops.convert_to_tensor(step, "int32")


def compiled(function, mode):
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    import tensorflow as tf

    return tf.function(function, jit_compile=mode == "XLA")


def _dtype(x):
    return keras.backend.standardize_dtype(x.dtype)


def _close(a, b, tolerance=1e-5):
    scale = np.abs(b).max(initial=1e-6)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)


def _close_states(a, b):
    for x, y in zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True):
        _close(x, y)


def test_shapes_and_dtypes(rule):
    """State is `[k, n]` (statistics aside) and keeps its structure, in float32."""
    state = rule.initial_state(N)
    d, new_state = rule.update(large_theta(rule), *_gradients(steps=2), state, step=1)
    assert d.shape == (N,) and _dtype(d) == "float32"
    keras.tree.assert_same_structure(state, new_state)
    for old, new in zip(
        keras.tree.flatten(state), keras.tree.flatten(new_state), strict=True
    ):
        assert old.shape == new.shape and len(old.shape) == 2
        assert _dtype(old) == _dtype(new) == "float32"
    for leaf in keras.tree.flatten((state["accumulators"], state["memory"])):
        assert leaf.shape[1] == N


def test_features_have_the_declared_number(coordinatewise):
    """`features` returns `[num_features, n]`."""
    rule = coordinatewise
    g, w = (ops.convert_to_tensor(x) for x in _gradients(steps=2))
    accumulators = rule.init_accumulators(N)
    context, _ = rule.observe(g, rule.init_statistics([(N,)]), 1, [(N,)])
    x, _ = rule.features(g, w, context, accumulators, 1)
    assert x.shape == (rule.num_features, N)


@pytest.mark.parametrize("n", [0, 1])
def test_no_and_one_coordinate(rule, n):
    """Empty and scalar variables are fine."""
    updates, _, _ = _run(rule, large_theta(rule), _gradients(n))
    assert updates.shape == (3, n) and np.isfinite(updates).all()


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-12, 1e12, 1e30, np.inf])
@pytest.mark.parametrize(("n", "steps"), [(N, 15), (3000, 3)])
def test_extreme_gradients_then_normal_ones(rule, scale, n, steps):
    """Updates stay finite, and reasonable once the gradients are normal again."""
    signs = np.float32(np.arange(n) % 3 > 0) * 2 - 1
    extreme = np.zeros(n, "float32") if scale == 0 else signs * np.float32(scale)
    gradients = [extreme] * steps + list(_gradients(n, steps))
    updates, w, state = _run(rule, large_theta(rule), gradients)
    for value in (updates, w, *keras.tree.flatten(state)):
        assert np.isfinite(value).all()
    assert np.abs(updates).max() < 10


@pytest.mark.parametrize("mode", MODES.get(BACKEND, ["eager"]))
def test_extreme_gradients_in_any_shape(rule, mode):
    """Beside each other in a tensor, then alone in one, then none."""
    # Each takes time to compile.
    shapes = SHAPES if mode == "eager" else SHAPES[:5]
    rng, ends = np.random.default_rng(0), np.cumsum(SIZES[: len(shapes)])
    n = ends[-1]
    sizes = np.float32([0.0, 1e-40, 1e-30, 1e-12, 1.0, 1e12, 1e30, np.inf])
    mixed = rng.choice(sizes, (3, n)) * rng.choice(np.float32([-1, 1]), n)
    alone = np.zeros((2, n), "float32")
    alone[:, ends - 1] = [[np.inf], [1e30]]
    gradients = [*mixed, *alone, np.zeros(n, "float32")]
    updates = _run_shapes(rule, large_theta(rule), shapes, gradients, mode)
    assert np.isfinite(updates).all() and np.abs(updates).max() < 10


@pytest.mark.parametrize("size", [1e20, 1e30, 3e38])
def test_extreme_parameters(rule, size):
    """Updates stay finite, also of parameters whose squares would not be."""
    w = size * np.float32(np.sign(np.arange(N) - 2.5))
    updates, _, _ = _run(rule, large_theta(rule), _gradients(steps=1), w)
    assert np.isfinite(updates).all()


@pytest.mark.parametrize("mode", [m for m in MODES.get(BACKEND, []) if m == "XLA"])
@pytest.mark.parametrize("name", [n for n, r in RULES.items() if r.for_xla() is not r])
def test_nan_is_not_lost(name, mode):
    """As XLA's clipping would, in a coordinate or in all of its tensor."""
    rule, gradients = RULES[name], _gradients(12)
    gradients[1, 5] = np.nan
    theta, shapes, w = large_theta(rule), [(4, 3)], np.ones(12, "float32")
    form = rule.for_xla()
    update = compiled(lambda g, s, t: form.update(theta, g, w, s, t, shapes), mode)
    expected, received = rule.initial_state(shapes), rule.initial_state(shapes)
    for step, g in enumerate(gradients, start=1):
        d, expected = rule.update(theta, g, w, expected, step, shapes)
        e, received = update(ops.convert_to_tensor(g), received, _scalar(step))
        d, e = ops.convert_to_numpy(d), ops.convert_to_numpy(e)
        np.testing.assert_array_equal(np.isnan(e), np.isnan(d))
        assert np.isnan(d[5]) == (step > 1)


def test_a_large_gradient_alone_from_the_start(rule):
    """Nothing else in its tensor has a scale then."""
    g = np.zeros((3, 12), "float32")
    g[:, 5] = [np.inf, -1e30, 1e-40]
    updates = _run_shapes(rule, large_theta(rule), [(4, 3)], g)
    assert np.isfinite(updates).all() and np.abs(updates).max() < 10


def test_the_size_of_a_tiny_gradient_hardly_matters(rule):
    """Gradients too small for float32 squares act like none."""
    theta = large_theta(rule)
    none, _, _ = _run(rule, theta, np.zeros((5, N), "float32"))
    tiny, _, _ = _run(rule, theta, np.full((5, N), 1e-30, "float32"))
    _close(tiny, none)


def test_depends_on_gradient_theta_and_state(rule):
    """Nothing is ignored."""
    theta, gradients = large_theta(rule), _gradients()
    updates, _, _ = _run(rule, theta, gradients)
    flipped, _, _ = _run(rule, theta, -gradients)
    other, _, _ = _run(rule, large_theta(rule, seed=2), gradients)
    fresh, _, _ = _run(rule, theta, gradients[-1:])
    for different in (flipped, other, np.broadcast_to(fresh, updates.shape)):
        difference = np.abs(updates[-1] - different[-1]).max()
        assert difference > 1e-3 * np.abs(updates).max()


def test_permutation_equivariance(rule):
    """The order of a vector's coordinates does not matter."""
    order = np.random.default_rng(3).permutation(N)
    theta, gradients, w = large_theta(rule), _gradients(), _gradients(steps=1)[0]
    updates, _, state = _run(rule, theta, gradients, w)
    permuted, _, permuted_state = _run(rule, theta, gradients[:, order], w[order])
    _close(permuted, updates[:, order])
    for name in ("accumulators", "memory"):
        expected = keras.tree.map_structure(lambda s: s[:, order], state[name])
        _close_states(permuted_state[name], expected)


@pytest.mark.parametrize("shape", [(4, 3), (2, 2, 1, 3)])
def test_permutation_of_units(rule, shape):
    """Nor that of a matrix's columns, each the weights of a unit."""
    theta, order = large_theta(rule), [2, 0, 1]
    gradients = _gradients(int(np.prod(shape))).reshape(3, *shape)
    updates = _run_shapes(rule, theta, [shape], gradients.reshape(3, -1))
    permuted = _run_shapes(rule, theta, [shape], gradients[..., order].reshape(3, -1))
    updates = updates.reshape(gradients.shape)[..., order]
    _close(permuted.reshape(gradients.shape), updates)


def test_coordinates_are_independent(coordinatewise):
    """Two sets side by side give what each gives alone."""
    rule, theta = coordinatewise, large_theta(coordinatewise)
    a, b = _gradients(3, seed=1), 1e3 * _gradients(4, seed=2)
    w_a, w_b = np.float32([1, 2, 3]), np.float32([-1, 0, 1, 5])
    both, _, _ = _run(rule, theta, np.hstack([a, b]), np.hstack([w_a, w_b]))
    alone = [_run(rule, theta, g, w)[0] for g, w in ((a, w_a), (b, w_b))]
    _close(both, np.hstack(alone))


def test_tensors_side_by_side(rule):
    """Several tensors at once give what each gives alone."""
    theta, ends = large_theta(rule), np.cumsum(SIZES)
    scales = np.repeat(10.0 ** np.arange(len(SIZES)), SIZES).astype("float32")
    gradients = [g * scales for g in _gradients(sum(SIZES))]
    alone = [
        _run_shapes(rule, theta, [shape], [g[end - size : end] for g in gradients])
        for shape, size, end in zip(SHAPES, SIZES, ends, strict=True)
    ]
    together = _run_shapes(rule, theta, SHAPES, gradients)
    for part, one in zip(np.split(together, ends, axis=1), alone, strict=False):
        _close(part, one)


def test_the_form_for_xla_is_the_same(rule):
    """Up to rounding; for rules that have none it is the rule."""
    theta, gradients = large_theta(rule), _gradients(sum(SIZES))
    for received, expected in zip(
        _run_shapes(rule.for_xla(), theta, SHAPES, gradients),
        _run_shapes(rule, theta, SHAPES, gradients),
        strict=True,
    ):
        _close(received, expected, tolerance=1e-6)


def test_only_what_a_rule_is_told_matters(rule):
    """Each field of `Run` that is in `run_inputs` changes the update; no other does."""
    theta, shapes = large_theta(rule), [(2, 3), (1,)]
    g, w = _gradients(steps=2)

    def update(**told):
        state = rule.initial_state(shapes)
        d, _ = rule.update(theta, g, w, state, 3, shapes, run=Run(**told))
        return ops.convert_to_numpy(d)

    known = {"total_steps": 50.0, "epochs": 5.0, "rho": 0.02}
    for name, value in (("total_steps", 80.0), ("epochs", 40.0), ("rho", 0.2)):
        same = np.array_equal(update(**known), update(**known | {name: value}))
        assert same == (name not in rule.run_inputs)


def test_same_inputs_same_outputs_and_inputs_untouched(rule):
    """Rules are pure functions."""
    theta, (g, w) = large_theta(rule), _gradients(steps=2)
    state = keras.tree.map_structure(ops.convert_to_numpy, rule.initial_state(N))
    inputs = (theta, g, w, state)
    before = keras.tree.map_structure(np.copy, inputs)
    first, second = (
        keras.tree.map_structure(ops.convert_to_numpy, rule.update(*inputs, step=1))
        for _ in range(2)
    )
    for a, b in ((inputs, before), (first, second)):
        keras.tree.map_structure(np.testing.assert_array_equal, a, b)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype")  # JAX: no float64
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_any_float_type(rule, dtype):
    """Gradients and parameters of any type act as their float32 values."""
    theta, (g, w) = large_theta(rule), ops.cast(_gradients(steps=2), dtype)
    d, _ = rule.update(theta, g, w, rule.initial_state(N), step=1)
    g, w = ops.cast(g, "float32"), ops.cast(w, "float32")
    expected, _ = rule.update(theta, g, w, rule.initial_state(N), step=1)
    assert _dtype(d) == "float32"
    np.testing.assert_array_equal(
        ops.convert_to_numpy(d), ops.convert_to_numpy(expected)
    )


def test_config_round_trip(rule):
    """Keras's serialization, through JSON, gives a rule that does the same."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(rule)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(rule) and copy.get_config() == rule.get_config()
    a, b = (_run(r, large_theta(r), _gradients())[0] for r in (rule, copy))
    np.testing.assert_array_equal(a, b)


def test_init_theta_is_reproducible(rule):
    """The seed alone decides; NumPy's global state is left alone."""
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    one, same, other = (rule.init_theta(seed) for seed in (1, 1, 2))
    assert np.random.random() == expected
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert any(not np.array_equal(one[name], other[name]) for name in one)
    assert all(value.dtype == np.float32 for value in one.values())


def test_theta_shapes(rule):
    """Those of the weights, in the same order, without making any."""
    theta = rule.init_theta()
    assert list(rule.theta_shapes()) == list(theta)
    assert rule.theta_shapes() == {name: value.shape for name, value in theta.items()}
    assert type(rule).theta_shapes is not UpdateRule.theta_shapes


def test_check_backend(rule, monkeypatch):
    """Built-in rules run on all that train; others may say less."""
    for backend in ("tensorflow", "jax", "torch"):
        monkeypatch.setattr(keras.backend, "backend", lambda name=backend: name)
        rule.check_backend()
    monkeypatch.setattr(type(rule), "backends", ("jax",))
    with pytest.raises(ValueError, match="one of .'jax',. .* Received: 'torch'"):
        rule.check_backend()


def test_standardize_theta(rule):
    """float32 in the order of names; a missing or misshapen weight is named."""
    theta = rule.init_theta()
    given = {name: theta[name].astype("float64") for name in reversed(theta)}
    standard = rule.standardize_theta(given)
    assert list(standard) == sorted(theta)
    for name, value in theta.items():
        assert standard[name].dtype == np.float32
        np.testing.assert_array_equal(standard[name], value)
    name = sorted(theta)[0]
    without = {key: value for key, value in theta.items() if key != name}
    for wrong, message in (
        (without, f"{name!r} must be .* received none"),
        ({**theta, "extra": np.zeros(2)}, r"'extra' must be absent, received \(2,\)"),
        ({**theta, name: np.zeros((9, 9))}, f"{name!r} must be .*, received .9, 9."),
        ({**theta, name: np.full_like(theta[name], np.inf)}, "`theta` must be finite"),
        (list(theta), "`theta` must be a dict of names to arrays. Received: list"),
    ):
        with pytest.raises(ValueError, match=message):
            rule.standardize_theta(wrong)
