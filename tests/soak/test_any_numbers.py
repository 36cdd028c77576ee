"""Eager, graph and XLA agree on numbers of any size, on infinite ones and on NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from lrlearn.rules import building_blocks, factored
from lrlearn.vectors import flatten, split
from tests.regularizers.problems import MODES
from tests.regularizers.test_contract import CASES
from tests.rules.test_contract import RULES, large_theta

pytestmark = pytest.mark.soak

SHAPES = [(4, 3), (5,), ()]
SIZES = [int(np.prod(shape)) for shape in SHAPES]
N, STEPS = sum(SIZES), 3
# A denormal number, one whose square vanishes, and usual ones.
USUAL = [0.0, 1e-40, 1e-30, 1e-3, 1.0, 7.0]
FINITE = [*USUAL, 1e30, 3e38]
COMPILED = [mode for mode in MODES if mode != "eager"]
A = tf.constant(np.random.default_rng(0).normal(size=(9, N)), "float32")


def with_any(*strategies):
    """Returns a decorator of a test within a test: fixed examples, no time limit."""
    options = settings(max_examples=150, deadline=None, database=None)
    return lambda check: seed(0)(options(given(*strategies)(check)))()


def tensors(shape, numbers):
    """Draws float32 tensors of numbers of either sign."""
    either = [sign * x for x in numbers for sign in (1.0, -1.0)]
    size = int(np.prod(shape))
    lists = st.lists(st.sampled_from(either), min_size=size, max_size=size)
    return lists.map(lambda x: tf.constant(x, "float32", shape))


def assert_alike(received, expected):
    """Entries that are NaN or infinite are the same ones, and the others are close."""
    for pair in zip(*map(keras.tree.flatten, (received, expected)), strict=True):
        a, b = (x.numpy() for x in pair)
        np.testing.assert_array_equal(np.isfinite(a), np.isfinite(b))
        where = np.isfinite(b)
        np.testing.assert_allclose(a[where], b[where], rtol=1e-3, atol=1e-4)


def updates_of(rule):
    """Returns a function of gradients `[STEPS, N]` and parameters `[N]`."""
    theta = large_theta(rule)

    def updates(gradients, w):
        state, all_updates = rule.initial_state(SHAPES), []
        for step, g in enumerate(tf.unstack(gradients), start=1):
            d, state = rule.update(theta, g, w, state, step, SHAPES)
            all_updates.append(d)
        return tf.stack(all_updates)

    return updates


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("name", RULES)
def test_rules(name, mode):
    """A NaN is never lost; all other gradients and parameters give finite updates."""
    rule = RULES[name]
    eager = updates_of(rule)
    compiled = MODES[mode](updates_of(rule.for_xla() if mode == "xla" else rule))

    @with_any(tensors((STEPS, N), [*FINITE, np.inf, np.nan]), tensors(N, FINITE))
    def check(gradients, w):
        expected, received = eager(gradients, w), compiled(gradients, w)
        assert_alike(received, expected)
        nan = np.logical_or.accumulate(np.isnan(gradients))
        assert np.isnan(received.numpy()[nan]).all()

    @with_any(tensors((STEPS, N), [*FINITE, np.inf]), tensors(N, FINITE))
    def check_finite(gradients, w):
        assert np.isfinite(compiled(gradients, w)).all()


def _normalized(g):
    return building_blocks.normalized(g, {"m": 0.0 * g, "v": 0.0 * g}, 1)[:2]


def _factored(g):
    statistics = factored.init(SHAPES)
    return tf.sqrt(factored.second_moment(g, statistics, SHAPES, 0.99)[0])


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize(
    "feature", [building_blocks.log_and_sign, _normalized, _factored]
)
def test_features(feature, mode):
    def bounded(g):
        return feature(building_blocks.bound(g, to_sum=True))

    compiled = MODES[mode](bounded)

    @with_any(tensors(N, [*FINITE, np.inf, np.nan]))
    def check(g):
        assert_alike(compiled(g), bounded(g))


def _loss_fn(params):
    """Overflows if parameters are large."""
    w = flatten(params)
    return tf.reduce_mean(tf.nn.softplus(tf.linalg.matvec(A, w))) + tf.reduce_sum(w**2)


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize("name", CASES)
def test_regularizers(name, mode):
    regularizer = CASES[name](0.1)

    def everything(w):
        parts = zip(split(w, SIZES), SHAPES, strict=True)
        params = [tf.reshape(part, shape) for part, shape in parts]
        loss, field = regularizer.gradients(_loss_fn, params)
        return [loss, regularizer.penalty(_loss_fn, params), *field]

    compiled = MODES[mode](everything)

    @with_any(tensors(N, [*USUAL, 1e30, np.inf, np.nan]))
    def check(w):
        assert_alike(compiled(w), everything(w))

    @with_any(tensors(N, USUAL))
    def check_finite(w):
        assert all(np.isfinite(x).all() for x in compiled(w))
