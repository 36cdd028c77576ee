"""What holds for every regularizer: list one in `CASES`, and it gets all tests."""

import doctest
import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lrlearn.regularizers import (
    ASAM,
    GAM,
    GSAM,
    L2,
    SAM,
    Mixture,
    Penalty,
    Regularizer,
    value_and_gradients,
)
from lrlearn.vectors import dot
from tests.regularizers.problems import MODES, Convex, values


@functools.cache
def documented_example():
    """Runs the Example of `Regularizer`; returns its results and its names."""
    test = doctest.DocTestFinder(recurse=False).find(
        Regularizer, "Regularizer", globs={"__name__": "my_package"}
    )[0]
    result = doctest.DocTestRunner().run(test, clear_globs=False)
    return result, test.globs


def documented_l1(strength):
    return documented_example()[1]["L1"](strength)


@keras.saving.register_keras_serializable(package="tests")
def squares(loss_fn, params):
    return dot(params, params)


def mixture(strength):
    members = [None, SAM(strength), Penalty(squares, strength), GAM(strength, strength)]
    return Mixture(members, [1, 2.0, 1, 0.5])


def gam_of_radius(rho, **options):
    return GAM(rho, rho_perturb=rho, **options)


# Those whose radius can be relative to the norm of the parameters.
BALLS = {
    "sam": SAM,
    "gsam": functools.partial(GSAM, alpha=0.4),
    "gam_algorithm2": functools.partial(gam_of_radius, variant="algorithm2"),
    "gam_released": functools.partial(gam_of_radius, variant="released"),
    "gam_hvp": functools.partial(gam_of_radius, variant="hvp"),
}
# A name, and a function of the strength: 0 for none, about 0.1 for a usual one.
CASES = {
    **BALLS,
    **{
        f"{name}_relative": functools.partial(ball, relative=True)
        for name, ball in BALLS.items()
    },
    "asam": ASAM,
    "l2": L2,
    "penalty": functools.partial(Penalty, squares),
    "mixture": mixture,
    "documented_l1": documented_l1,
}

problem = Convex()


@pytest.fixture(params=CASES)
def make(request):
    return CASES[request.param]


def test_documented_example_runs():
    result, _ = documented_example()
    assert result.attempted > 0 and result.failed == 0


def test_gradients_are_loss_and_field(make):
    params = problem.params()
    loss, g = value_and_gradients(problem.loss_fn, params)
    field = make(0.1).field(problem.loss_fn, params, loss, g)
    received_loss, received = make(0.1).gradients(problem.loss_fn, params)
    np.testing.assert_allclose(received_loss, problem.loss(problem.w), rtol=1e-12)
    np.testing.assert_array_equal(values(received), values(field))


@pytest.mark.parametrize("shapes", [((6,),), ((3, 2),), ((), (1, 1, 1), (0,), (4,))])
def test_does_not_depend_on_the_split_over_tensors(make, shapes):
    regularizer, split = make(0.1), problem.params(shapes=shapes)
    _, expected = regularizer.gradients(problem.loss_fn, problem.params())
    _, received = regularizer.gradients(problem.loss_fn, split)
    np.testing.assert_allclose(values(received), values(expected), rtol=1e-12)
    np.testing.assert_allclose(
        regularizer.penalty(problem.loss_fn, split),
        regularizer.penalty(problem.loss_fn, problem.params()),
        rtol=1e-12,
    )


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_compiled_equals_eager(make, mode):
    regularizer, params = make(0.1), problem.params()

    def everything(params):
        loss, gradients = regularizer.gradients(problem.loss_fn, params)
        return [loss, regularizer.penalty(problem.loss_fn, params), *gradients]

    np.testing.assert_allclose(
        values(MODES[mode](everything)(params)), values(everything(params)), rtol=1e-10
    )


@pytest.mark.parametrize(
    "dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5), ("float16", 0.05)]
)
def test_keeps_shapes_and_types(make, dtype, tolerance):
    params = problem.params(dtype)
    _, received = make(0.1).gradients(problem.loss_fn, params)
    assert [x.dtype for x in received] == [w.dtype for w in params]
    assert [x.shape for x in received] == [w.shape for w in params]
    _, exact = make(0.1).gradients(problem.loss_fn, problem.params())
    error = np.linalg.norm(values(received) - values(exact))
    assert error <= tolerance * np.linalg.norm(values(exact))


def test_takes_parameters_of_several_types(make):
    params = [ops.array([1.0, 2.0], "float16"), ops.array([3.0], "float64")]

    def loss_fn(params):
        return sum(ops.sum(ops.cast(w, "float32") ** 2) for w in params)

    _, gradients = make(0.1).gradients(loss_fn, params)
    assert [x.dtype for x in gradients] == [tf.float16, tf.float64]
    assert np.isfinite(values(gradients)).all()


@pytest.mark.parametrize("variable", [keras.Variable, tf.Variable])
def test_takes_variables(make, variable):
    params = problem.params("float32")
    variables = [variable(w) for w in params]
    for method in (make(0.1).gradients, make(0.1).penalty):
        expected = tf.nest.flatten(method(problem.loss_fn, params))
        received = tf.nest.flatten(method(problem.loss_fn, variables))
        np.testing.assert_array_equal(values(received), values(expected))
    np.testing.assert_array_equal(values(variables), values(params))


@pytest.mark.parametrize("mode", MODES)
def test_zero_gradient_stays_zero(make, mode):
    params = [ops.zeros((2, 2), "float32"), ops.zeros((), "float32")]

    def minimum(params):
        return dot(params, params)

    def constant(params):
        return ops.ones((), "float32")

    @MODES[mode]
    def everything(params):
        return [
            [make(0.1).penalty(fn, params), *make(0.1).gradients(fn, params)[1]]
            for fn in (minimum, constant)
        ]

    for received in everything(params):
        np.testing.assert_array_equal(values(received), np.zeros(6))


def test_vanishes_with_its_strength(make):
    params, g = problem.params(), problem.gradient(problem.w)

    def distance(strength):
        _, field = make(strength).gradients(problem.loss_fn, params)
        return np.linalg.norm(values(field) - g)

    assert distance(0.0) < 1e-12
    assert 1e-12 < distance(1e-5) < 1e-3 < distance(0.1)


def test_penalty_of_a_convex_function_grows_from_zero(make):
    penalties = [
        float(make(strength).penalty(problem.loss_fn, problem.params()))
        for strength in (0.0, 0.01, 0.1, 1.0)
    ]
    assert penalties[0] == 0.0
    assert np.isfinite(penalties).all() and (np.diff(penalties) > 0).all()


@pytest.mark.parametrize("jit", [False, True])
def test_runs_in_a_loop_under_an_outer_tape(make, jit):
    regularizer, params = make(0.1), problem.params()

    def descend(*params):
        _, v = regularizer.gradients(problem.loss_fn, params)
        return [w - 0.05 * ops.stop_gradient(x) for w, x in zip(params, v, strict=True)]

    @tf.function(jit_compile=jit)
    def unroll(params):
        with tf.GradientTape() as tape:
            tape.watch(params)
            last = tf.while_loop(lambda *_: True, descend, params, maximum_iterations=3)
            loss = problem.loss_fn(last)
        return last, tape.gradient(loss, params)

    expected = params
    for _ in range(3):
        expected = descend(*expected)
    last, gradients = unroll(params)
    np.testing.assert_allclose(values(last), values(expected), rtol=1e-10)
    # The field is constant there, so that d last / d params is the identity.
    np.testing.assert_allclose(
        values(gradients), problem.gradient(values(expected)), rtol=1e-10
    )


def test_config_round_trip(make):
    regularizer = make(0.1)
    config = json.loads(json.dumps(regularizer.get_config()))
    assert type(regularizer).from_config(config).get_config() == config
    serialized = json.loads(
        json.dumps(keras.saving.serialize_keras_object(regularizer))
    )
    restored = keras.saving.deserialize_keras_object(serialized)
    assert type(restored) is type(regularizer)
    _, expected = regularizer.gradients(problem.loss_fn, problem.params())
    _, received = restored.gradients(problem.loss_fn, problem.params())
    np.testing.assert_array_equal(values(received), values(expected))


# An example in the docs may leave its arguments unchecked; a mixture has a list.
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"documented_l1", "mixture"}))
@pytest.mark.parametrize("bad", [-1, -0.1, float("nan"), float("inf"), "0.1", None])
def test_bad_numbers_raise(name, bad):
    regularizer = CASES[name](0.1)
    config = regularizer.get_config()
    numbers = [key for key, value in config.items() if isinstance(value, float)]
    assert numbers
    for key in numbers:
        with pytest.raises(ValueError, match=f"`{key}` must be .* Received: {key}="):
            type(regularizer).from_config({**config, key: bad})


@pytest.mark.parametrize("make", BALLS.values(), ids=BALLS)
def test_a_relative_radius_is_a_share_of_the_norm(make):
    relative, radius = make(0.2, relative=True), 0.2 * np.linalg.norm(problem.w)
    for method in (relative.gradients, relative.penalty):
        absolute = getattr(make(radius), method.__name__)
        received, expected = (
            values(tf.nest.flatten(m(problem.loss_fn, problem.params())))
            for m in (method, absolute)
        )
        np.testing.assert_allclose(received, expected, rtol=1e-6)
    assert relative.get_config() == make(0.2).get_config() | {"relative": True}
    assert type(relative).from_config(relative.get_config()).relative is True


# An example in the docs may have no dial.
SCALABLE = {name: make for name, make in CASES.items() if "documented" not in name}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", SCALABLE.values(), ids=SCALABLE)
def test_scaled_has_another_strength(make, mode):
    """By a tensor, so that one graph serves all settings of a dial."""
    regularizer, params = make(0.1), problem.params("float32")
    before = regularizer.get_config()

    def everything(regularizer):
        _, field = regularizer.gradients(problem.loss_fn, params)
        return [regularizer.penalty(problem.loss_fn, params), *field]

    received = MODES[mode](lambda factor: everything(regularizer.scaled(factor)))
    for factor in (0.0, 0.5, 3.0):
        expected = values(everything(make(0.1 * factor)))
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(
            values(received(tf.constant(factor))), expected, **tolerance
        )
    assert regularizer.get_config() == before


@pytest.mark.parametrize(
    "dtype, tolerance", [("float64", 1e-7), ("float32", 1e-5), ("float16", 0.05)]
)
@pytest.mark.parametrize("make", SCALABLE.values(), ids=SCALABLE)
def test_scaled_keeps_types(make, dtype, tolerance):
    """By a number and by a float32 tensor alike."""
    for factor in (2.0, tf.constant(2.0)):
        params, regularizer = problem.params(dtype), make(0.1).scaled(factor)
        _, received = regularizer.gradients(problem.loss_fn, params)
        assert [x.dtype for x in received] == [w.dtype for w in params]
        _, expected = make(0.2).gradients(problem.loss_fn, problem.params())
        error = np.linalg.norm(values(received) - values(expected))
        assert error <= tolerance * np.linalg.norm(values(expected))
        penalty = regularizer.penalty(problem.loss_fn, params)
        expected = make(0.2).penalty(problem.loss_fn, problem.params())
        np.testing.assert_allclose(penalty, expected, rtol=tolerance)


@pytest.mark.parametrize("make", SCALABLE.values(), ids=SCALABLE)
def test_scaled_by_zero_is_plain(make):
    scaled, params = make(0.1).scaled(0.0), problem.params()
    loss, gradients = scaled.gradients(problem.loss_fn, params)
    np.testing.assert_allclose(loss, problem.loss(problem.w), rtol=1e-12)
    np.testing.assert_allclose(
        values(gradients), problem.gradient(problem.w), rtol=1e-12
    )
    assert float(scaled.penalty(problem.loss_fn, params)) == 0.0


def test_a_schedule_is_scaled_once_it_is_resolved():
    schedule = keras.optimizers.schedules.PolynomialDecay(0.2, 10, end_learning_rate=0)
    with pytest.raises(ValueError, match="call `resolve` first"):
        SAM(schedule).scaled(2.0)
    scaled = SAM(schedule).resolve(learning_rate=None, step=5).scaled(2.0)
    _, received = scaled.gradients(problem.loss_fn, problem.params())
    _, expected = SAM(0.2).gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(values(received), values(expected), rtol=1e-6)


def test_has_no_schedule_by_default(make):
    regularizer = make(0.1)
    assert regularizer.resolve(learning_rate=0.5) is regularizer
