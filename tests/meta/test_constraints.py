"""Meta-training on models with constraints, and with losses that have kinks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from lrlearn import MetaTrainer
from lrlearn.meta import NRES, FullTape, Replay
from lrlearn.meta.meta_objective import Start
from lrlearn.meta.unroll import Record, unroll
from lrlearn.rules import CoordinatewiseRule
from lrlearn.tasks import Task
from tests.meta.problems import (
    FAST,
    RULE,
    fix_batches,
    flat,
    objective,
    start_of,
    theta_of,
)

LOSSES = ["hinge", "mae"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 6)).astype("float32")
Y = np.sign(X @ np.float32([[1], [-2], [2], [-1], [0], [1]])) + np.float32(0)
SEED = tf.constant([0, 1])
MODES = {"eager": None, "graph": {}, "xla": {"jit_compile": True}}
STEPS = 4


class GradientDescent(CoordinatewiseRule):
    """d = -theta g."""

    num_features = 1

    def init_theta(self, seed=0):
        return {"rate": np.float32([[0.1]])}

    def init_accumulators(self, n):
        return {}

    def init_memory(self, n):
        return {}

    def features(self, gradient, parameter, context, accumulators, step):
        return ops.stack([gradient]), {}

    def direction(self, theta, x, memory):
        return -ops.matmul(theta["rate"], x)[0], memory

    def get_config(self):
        return {}


def _task(loss, constraint="non_neg"):
    def model_fn():
        dense = keras.layers.Dense(1, kernel_constraint=constraint)
        return keras.Sequential([keras.Input((6,)), dense])

    return Task(model_fn, loss, (X, Y), (X, Y), batch_size=16, name=loss)


def _run(function, mode, *arguments):
    options = MODES[mode]
    if options is not None:
        function = tf.function(function, autograph=False, **options)
    return function(*arguments)


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_are_non_negative_at_each_step(loss):
    """Also of a model whose weights are rescaled, in each mode of execution."""
    p = objective(_task(loss), RULE)
    start = start_of(p, factor=3.0, factor_range=2.0)
    theta = theta_of(RULE)
    records = {"w": Record(lambda optimizee, _: optimizee.w, start.w.shape)}

    def function(theta, start):
        return unroll(p, theta, start, SEED, STEPS, records)[1]["w"]

    paths = [_run(function, mode, theta, start).numpy() for mode in MODES]
    assert start.w[:6].numpy().min() < 0  # as Keras gives them
    for path in paths:
        assert path[:, :6].min() == 0 < path[:, :6].max()
        np.testing.assert_allclose(path, paths[0], atol=1e-5)
    moved = np.diff(paths[0][:, 6])
    assert np.all(moved != 0)  # the bias has no constraint


def test_other_parameters_keep_every_bit():
    """Rescaling them to and fro would not."""
    p = objective(_task("mae"))
    start = start_of(p, factor=3.0, factor_range=2.0)
    projected = p.flat.project(start.w, start.scale)
    np.testing.assert_array_equal(projected[6:], start.w[6:])
    np.testing.assert_allclose(projected[:6], np.maximum(start.w[:6], 0.0), rtol=1e-6)
    free = objective(_task("mae", constraint=None))
    assert free.flat.project(start.w, start.scale) is start.w


def test_norms_are_those_of_the_model():
    """Not of what the rule sees."""
    p = objective(_task("mae", constraint="unit_norm"))
    start = start_of(p, factor=3.0)
    w = p.flat.project(start.w, start.scale)
    kernel, _ = p.params(start._replace(w=w))
    np.testing.assert_allclose(np.linalg.norm(kernel), 1.0, rtol=1e-5)


@pytest.mark.parametrize("estimator", [FullTape(), Replay(), Replay(4, segment=2)])
def test_meta_gradient_by_hand(estimator):
    """A coordinate that is held at 0 has no derivative until it leaves."""
    x, y = X[:16], Y[:16]
    task = fix_batches(_task("mse"))
    rule, rate = GradientDescent(), 0.15
    p = objective(task, rule, meta_loss="loss")
    start = p.start(Start(seed=1, steps=1000))

    def gradient(w):
        error = x @ w[:6] + w[6] - y[:, 0]
        return 2 / 16 * np.append(x.T @ error, error.sum())

    w, slope, total, held = start.w.numpy()[:7].astype("float64"), 0.0, 0.0, 0
    for _ in range(STEPS):
        g = gradient(w)
        moved, slope = w - rate * g, slope - g
        out = (moved < 0) & (np.arange(7) < 6)
        w, slope = np.where(out, 0.0, moved), np.where(out, 0.0, slope)
        total, held = total + gradient(w) @ slope, held + out.sum()
    assert held > 3
    theta = {"rate": tf.constant([[rate]])}
    received = estimator.estimate(p, theta, start, SEED, STEPS)
    np.testing.assert_allclose(received.gradient["rate"], [[total]], rtol=1e-4)
    np.testing.assert_allclose(received.optimizee.w[:7], w, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "loss"),
    [(Replay(), "mae"), (NRES(0.1), "hinge"), (NRES(0.1), "mae")],
    ids=["replay mae", "nres hinge", "nres mae"],
)
def test_modes_agree(estimator, loss):
    """Of the meta-gradient and of where the optimizees end."""
    p = objective(_task(loss), RULE)
    theta, start = theta_of(RULE), estimator.start(p, Start(1, 1000))

    def function(theta, start):
        return estimator.estimate(p, theta, start, SEED, STEPS)

    found = [_run(function, mode, theta, start) for mode in MODES]
    expected = flat(found[0].gradient)
    largest = np.abs(expected).max()
    for each in found:
        received = flat(each.gradient)
        np.testing.assert_allclose(received, expected, atol=1e-3 * largest)
        ends = [each.optimizee] if hasattr(each.optimizee, "w") else each.optimizee[:2]
        for end in ends:
            assert end.w[:6].numpy().min() == 0.0


@pytest.mark.long
@pytest.mark.parametrize("estimator", ["replay", "nres"])
def test_meta_training(estimator):
    """Some meta-steps on both losses move theta, and skip none."""
    tasks = [_task(loss) for loss in LOSSES]
    trainer = MetaTrainer(RULE, tasks, "sam", estimator=estimator, **FAST)
    before = trainer.theta
    history = trainer.fit(steps=3, verbose=0)
    assert np.isfinite(flat(trainer.theta)).all()
    assert np.any(flat(trainer.theta) != flat(before))
    assert history.total_skipped == 0
