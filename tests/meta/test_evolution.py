"""Evolution strategies: unbiased of an unroll, and of a whole run where persistent."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn import MetaTrainer
from lrlearn.meta import ES, NRES, PES, FullTape
from lrlearn.meta.meta_objective import Start
from lrlearn.meta.meta_validation import MetaValidation
from lrlearn.meta.unroll import run
from lrlearn.regularizers import GSAM, L2
from lrlearn.rules import CoordinatewiseRule
from tests.meta.problems import (
    RULE,
    meta_problem,
    mlp,
    objective,
    quadratic,
    start_of,
    theta_of,
)

pytestmark = pytest.mark.long

HORIZON, UNROLL, SEEDS = 8, 2, 4000
START = Start(seed=1, steps=HORIZON)
FULL = FullTape(through_features=True)


class Momentum(CoordinatewiseRule):
    """Two weights, so that a few thousand perturbations tell the gradient."""

    num_features = 1

    def init_theta(self, seed=0):
        return {"decay": np.float32([1.0]), "log_rate": np.float32([-5.0])}

    def init_accumulators(self, n):
        return {}

    def init_memory(self, n):
        return {"m": tf.zeros((1, n))}

    def features(self, gradient, parameter, context, accumulators, step):
        return gradient[None], accumulators

    def direction(self, theta, x, memory):
        m = tf.sigmoid(theta["decay"]) * memory["m"] + x
        return -tf.exp(theta["log_rate"]) * m[0], {"m": m}

    def get_config(self):
        return {}


MOMENTUM = Momentum()
THETA = {name: tf.constant(value) for name, value in MOMENTUM.init_theta().items()}


def _whole_runs(estimator, p, unroll, seeds=1):
    """Returns the sums of the gradients up to the horizon, `[seeds, 2]`."""
    start = estimator.start(p, START)

    def whole_run(seed):
        def one_unroll(t, state, total):
            estimate = estimator.estimate(p, THETA, state, tf.stack([t, seed]), unroll)
            g = tf.concat([estimate.gradient[name] for name in sorted(THETA)], axis=0)
            return t + 1, estimate.optimizee, total + g

        return tf.while_loop(
            lambda t, *_: t < HORIZON // unroll, one_unroll, (0, start, tf.zeros(2))
        )[2]

    @tf.function(jit_compile=True, autograph=False)
    def runs():
        return tf.map_fn(whole_run, tf.range(seeds), fn_output_signature=tf.float32)

    return runs().numpy()


def _deviations(estimator, p, unroll):
    """Returns how far its mean is from the whole run's gradient, in standard errors."""
    (exact,) = _whole_runs(FULL, p, HORIZON)
    draws = _whole_runs(estimator, p, unroll, SEEDS)
    error = draws.std(axis=0) / np.sqrt(SEEDS)
    # A wrong sign would be 20 standard errors off, a factor of two 10 or 5.
    assert np.all(error < 0.1 * np.abs(exact))
    return (draws.mean(axis=0) - exact) / error


@pytest.mark.parametrize(
    ("meta_loss", "regularizer"), [("log", None), ("loss", L2(5.0))], ids=["log", "l2"]
)
def test_es_is_unbiased_of_an_unroll(meta_loss, regularizer):
    """Derivatives through the features, and of the penalty, are in it."""
    p = objective(quadratic(), MOMENTUM, regularizer=regularizer, meta_loss=meta_loss)
    assert np.all(np.abs(_deviations(ES(), p, HORIZON)) < 4)


def test_pes_and_nres_are_unbiased_of_a_run_cut_into_unrolls():
    """What later unrolls lose by earlier ones counts; ES misses it."""
    p = objective(quadratic(), MOMENTUM, meta_loss="loss")
    for estimator in (PES(), NRES()):
        assert np.all(np.abs(_deviations(estimator, p, UNROLL)) < 4)
    assert np.all(np.abs(_deviations(ES(), p, UNROLL)) > 20)


def test_nres_keeps_the_perturbation_of_a_run():
    """Of each pair its own: one may begin while others are on their way."""
    p, theta = objective(mlp()), theta_of(RULE)
    begun = NRES().start(p, START)
    first = NRES().estimate(p, theta, begun, tf.constant([3, 0]), UNROLL).optimizee
    pairs = tf.nest.map_structure(lambda *x: tf.stack(x), begun, first)
    seeds = tf.constant([[3, 1], [3, 2]])
    after = NRES().estimate_together(p, theta, pairs, seeds, UNROLL).optimizee
    for name in theta:
        np.testing.assert_array_equal(after.xi[name][1], first.xi[name])
        assert np.all(after.xi[name][0] != first.xi[name])
    for sign, start, end in (
        (1.0, first.plus, after.plus),
        (-1.0, first.minus, after.minus),
    ):
        perturbed = {name: theta[name] + sign * first.xi[name] for name in theta}
        expected = run(p, perturbed, start, seeds[1], UNROLL)
        np.testing.assert_allclose(end.w[1], expected.w, atol=1e-5)


def test_pes_runs_on_along_both_perturbations():
    """From where they were, on the same batches, with all of xi in the estimate."""
    p, theta = objective(mlp()), theta_of(RULE)
    pair = PES().start(p, START)
    for step in range(2):
        seed = tf.constant([3, step])
        estimate = PES().estimate(p, theta, pair, seed, UNROLL)
        after = estimate.optimizee
        epsilon = {name: after.xi[name] - pair.xi[name] for name in theta}
        for sign, start, end in (
            (1.0, pair.plus, after.plus),
            (-1.0, pair.minus, after.minus),
        ):
            perturbed = {name: theta[name] + sign * epsilon[name] for name in theta}
            expected = run(p, perturbed, start, seed, UNROLL)
            np.testing.assert_allclose(end.w, expected.w, atol=1e-5)
        assert np.any(after.plus.w != after.minus.w)
        slopes = [estimate.gradient[name] / after.xi[name] for name in theta]
        slopes = np.concatenate([np.ravel(slope) for slope in slopes])
        np.testing.assert_allclose(slopes, slopes[0], rtol=1e-4)
        pair = after


@pytest.mark.parametrize(("seed", "sign"), [(0, -1), (2, 1)])
def test_limit(seed, sign):
    """More than the limit a step, up or down, counts as the limit."""
    p = objective(quadratic(), MOMENTUM)

    def slope(limit):
        estimator = PES(sigma=0.1, limit=limit)
        pair = estimator.start(p, START)
        estimate = estimator.estimate(p, THETA, pair, tf.constant([3, seed]), UNROLL)
        slopes = [
            estimate.gradient[name] / estimate.optimizee.xi[name] for name in THETA
        ]
        np.testing.assert_allclose(*slopes, rtol=1e-5)
        return float(slopes[0][0])

    # (sum of L+ - sum of L-) / (2 sigma^2), over two steps.
    difference = 2.0 * 0.1**2 * slope(None)
    most = abs(difference) / (2 * UNROLL)
    assert np.sign(difference) == sign
    for share, expected in ((1.001, difference), (0.5, 0.5 * difference)):
        received = 2.0 * 0.1**2 * slope(share * most)
        np.testing.assert_allclose(received, expected, rtol=1e-4)


@pytest.mark.parametrize("make", [ES, PES, NRES])
@pytest.mark.parametrize(
    "task",
    [mlp(), mlp(lambda: keras.layers.BatchNormalization())],
    ids=["stacked", "in turn"],
)
def test_several_at_once_are_as_each_alone(task, make):
    """Whether or not they are computed in one stack."""
    p, estimator = objective(task, MOMENTUM, L2(0.1)), make(0.1)
    starts = [estimator.start(p, Start(seed, steps=100)) for seed in range(3)]
    seeds = tf.constant([[0, 1], [0, 2], [0, 3]])
    stacked = tf.nest.map_structure(lambda *leaves: tf.stack(leaves), *starts)

    @tf.function(autograph=False)
    def together():
        return estimator.estimate_together(p, THETA, stacked, seeds, UNROLL)

    @tf.function(autograph=False)
    def alone(start, seed):
        return estimator.estimate(p, THETA, start, seed, UNROLL)

    received = tf.nest.flatten(together())
    for index, start in enumerate(starts):
        expected = tf.nest.flatten(alone(start, seeds[index]))
        for one, other in zip(received, expected, strict=True):
            np.testing.assert_allclose(one[index], other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("meta_split", ["train", "validation"])
@pytest.mark.parametrize("meta_loss", ["log", "loss"])
def test_the_penalty_is_added(meta_loss, meta_split):
    """On the split, under the logarithm; the rest is as with the teacher's field."""
    task, seed = mlp(lambda: keras.layers.BatchNormalization()), tf.constant([0, 1])
    gsam, arguments = GSAM(0.5), {"meta_loss": meta_loss, "meta_split": meta_split}
    start = start_of(objective(task))

    def value(regularizer):
        p = objective(task, regularizer=regularizer, **arguments)
        penalty = p.evaluate_penalty(start, p.batch(seed))
        field = p.evaluate_field(start, p.batch(seed))
        np.testing.assert_array_equal(penalty.loss, field.loss)
        np.testing.assert_array_equal(penalty.g, field.g)
        for one, other in zip(penalty.model_state, field.model_state, strict=True):
            np.testing.assert_array_equal(one, other)
        return penalty.meta_loss, field.meta_loss

    def loss_fn(params):
        x, y = task.batch(meta_split, seed)
        return task.evaluate_loss(params, start.model_state, x, y, training=True)[0]

    penalty = float(gsam.penalty(loss_fn, objective(task).params(start)))
    assert penalty > 0.1
    plain, expected = value(None)
    np.testing.assert_allclose(plain, expected, rtol=1e-6)
    loss = np.exp(plain) if meta_loss == "log" else plain
    expected = np.log(loss + penalty) if meta_loss == "log" else loss + penalty
    np.testing.assert_allclose(value(gsam)[0], expected, rtol=1e-5)


def test_meta_training_by_pes_learns():
    """A rule that hardly moves learns to train unseen initializations."""
    trainer = MetaTrainer(
        MOMENTUM,
        [mlp()],
        estimator=PES(0.1),
        optimizees_per_task=4,
        unroll=5,
        horizon=(10, 40),
        validation_every=None,
        meta_optimizer=keras.optimizers.Adam(0.1),
    )
    settings = {"validation_steps": 40, "validation_optimizees": 4, "seed": 77}
    score = MetaValidation(meta_problem(mlp(), rule=MOMENTUM, **settings))
    untrained = score(trainer.theta)
    trainer.fit(60, verbose=0)
    assert score(trainer.theta) < untrained - 0.5


@pytest.mark.parametrize("name", ["sigma", "limit"])
@pytest.mark.parametrize("value", [-1, 0, np.nan])
def test_numbers_must_be_positive(name, value):
    """One line."""
    message = f"^`{name}` must be a positive number. Received: {name}={value}$"
    for estimator in (ES, PES, NRES):
        with pytest.raises(ValueError, match=message):
            estimator(**{name: value})
