"""Only valid optimizees count, and nothing of others reaches theta."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from lrlearn import MetaTrainer
from lrlearn.meta import PES, Replay
from lrlearn.meta.meta_objective import Start
from lrlearn.meta.meta_problem import MetaProblem
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.meta.meta_step import MetaStep
from lrlearn.meta.unroll import fold_in
from lrlearn.regularizers import Regularizer
from tests.meta.problems import (
    CROSSENTROPY,
    FAST,
    RULE,
    mlp,
    objective,
    quadratic,
    start_of,
    theta_of,
)

QUICK = {**FAST, "validation_every": None}
OBJECTIVE, THETA = objective(), theta_of(RULE)


class _Nan(Regularizer):
    """A teacher whose field is NaN."""

    def field(self, loss_fn, params, loss, g):
        return [np.nan * x for x in g]

    def get_config(self):
        return {}


NO_VALUES = np.zeros(0, "float32")


def _nan_where_logits_are_large(y, logits):
    loss = CROSSENTROPY(y, logits)
    return tf.where(tf.reduce_max(tf.abs(logits)) > 4.0, np.nan, loss)


@functools.cache
def _meta_step(optimizees, objectives=(OBJECTIVE,), estimator=Replay()):  # noqa: B008
    """Returns a `MetaStep` on fixed batches, and where it leaves the meta-gradient."""
    applied = {name: tf.Variable(tf.zeros_like(value)) for name, value in THETA.items()}

    def apply(gradient):
        for name, value in gradient.items():
            applied[name].assign(value)

    settings = MetaSettings(unroll=5, seed=4)
    step = MetaStep(
        MetaProblem(RULE, objectives, None, estimator, settings),
        apply=apply,
        strategy=tf.distribute.get_strategy(),
        jit_compile=False,
    )
    return step, applied


def _run(*optimizees):
    """Returns the meta-gradient applied (zero where none was), and the results."""
    step, applied = _meta_step(len(optimizees))
    for variable in applied.values():
        variable.assign(tf.zeros_like(variable))
    logs, (after,), (valid,) = step(
        THETA, NO_VALUES, [list(optimizees)], [0] * len(optimizees), 0
    )
    gradient = {name: value.numpy() for name, value in applied.items()}
    return gradient, logs, after, valid


def test_mean_is_over_valid_optimizees():
    """That of two is the mean; one with NaN among its weights changes nothing."""
    one, two = (start_of(OBJECTIVE, seed) for seed in (0, 1))
    spoilt = two._replace(w=tf.where(tf.range(len(two.w)) == 7, np.nan, two.w))
    of_one, logs_of_one, _, _ = _run(one)
    of_two, _, _, _ = _run(two)
    of_both, _, _, valid = _run(one, two)
    assert valid == [True, True]
    without_two, logs, after, valid = _run(one, spoilt)
    assert valid == [True, False]
    assert logs == {**logs_of_one, "diverged": 1.0}
    assert np.all(np.isfinite(after[0].w))
    for name, value in of_one.items():
        assert np.any(value)
        np.testing.assert_array_equal(without_two[name], value)
        mean = (value + of_two[name]) / 2
        np.testing.assert_allclose(of_both[name], mean, rtol=1e-5, atol=1e-7)


def test_optimizees_in_groups_are_as_each_alone():
    """Nine of one task and one of another: all count, each by a seed of its own."""
    objectives, tasks = (OBJECTIVE, objective(quadratic())), [0, 0, 1, *7 * [0]]
    estimator = PES()
    step, applied = _meta_step(10, objectives, estimator)
    starts = [
        estimator.start(objectives[task], Start(seed, steps=100))
        for seed, task in enumerate(tasks)
    ]
    starts[3] = starts[3]._replace(
        plus=starts[3].plus._replace(w=starts[3].plus.w * np.nan)
    )
    logs, (after,), (valid,) = step(THETA, NO_VALUES, [starts], tasks, 7)
    assert valid == [index != 3 for index in range(10)]
    alone = [
        tf.function(functools.partial(estimator.estimate, p), autograph=False)
        for p in objectives
    ]
    estimates = [
        alone[task](THETA, starts[index], fold_in(tf.constant([4, 0]), 7, 0, index), 5)
        for index, task in enumerate(tasks)
        if index != 3
    ]
    ends = [end for end, flag in zip(after, valid, strict=True) if flag]
    for end, estimate in zip(ends, estimates, strict=True):
        np.testing.assert_allclose(end.plus.w, estimate.optimizee.plus.w, atol=1e-5)
    for name, value in applied.items():
        mean = np.mean([estimate.gradient[name] for estimate in estimates], axis=0)
        np.testing.assert_allclose(value, mean, rtol=1e-3, atol=1e-3)
    for name, expected in (
        ("loss", [estimate.losses[-1] for estimate in estimates]),
        ("meta_loss", [estimate.meta_loss for estimate in estimates]),
    ):
        np.testing.assert_allclose(logs[name], np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("leaf", "factor"), [("rule_state", np.nan), ("w", np.inf), ("w", 1e4)]
)
def test_what_is_invalid(leaf, factor):
    """State or weights that are not finite, a loss above the limit."""
    start = start_of(OBJECTIVE)
    spoilt = tf.nest.map_structure(lambda t: factor * t, getattr(start, leaf))
    gradient, logs, _, valid = _run(start._replace(**{leaf: spoilt}))
    assert valid == [False]
    assert np.isnan(logs["meta_loss"])
    assert not any(np.any(value) for value in gradient.values())


def test_some_episodes_are_invalid():
    """They start anew and are counted; theta moves by the others and stays finite."""
    task = mlp(loss=_nan_where_logits_are_large)
    settings = {**QUICK, "optimizees_per_task": 3, "initial_scale": (0.1, 5.0)}
    trainer = MetaTrainer(RULE, [task], **settings)
    rows = trainer.fit(8, verbose=0).frame()
    assert 0 < rows["skipped"].sum() < 3 * 8
    assert rows["skipped"].between(0, 3).all()
    assert np.isfinite(rows["meta_loss"][rows["skipped"] < 3]).all()
    arrays = trainer._weights.arrays()
    assert all(np.all(np.isfinite(value)) for value in arrays.values())
    iterations = (rows["skipped"] < 3).sum()
    assert int(trainer.meta_optimizer.iterations) == iterations


@pytest.mark.parametrize(
    ("task", "regularizer", "scale", "diverged"),
    [
        (mlp(), _Nan(), 1.0, 0.0),
        (mlp(loss=lambda y, logits: np.nan * CROSSENTROPY(y, logits)), None, 1.0, 2.0),
        (mlp(), None, 1e30, 2.0),
    ],
    ids=["regularizer", "loss", "huge scale"],
)
def test_all_optimizees_are_invalid(task, regularizer, scale, diverged):
    """Not a bit of theta, its average or the meta-optimizer changes; then it stops."""
    scales = {"optimizees_per_task": 2, "initial_scale": (scale, scale)}
    trainer = MetaTrainer(RULE, [task], regularizer, **{**QUICK, **scales})
    before = trainer._weights.arrays()
    rows = trainer.fit(2, verbose=0).frame()
    assert rows["skipped"].tolist() == [2.0, 2.0]
    assert rows["diverged"].tolist() == [diverged, diverged]
    assert rows["meta_loss"].isna().all()
    assert [slot.episode for slot in trainer._pool.slots] == [2, 2]
    after = trainer._weights.arrays()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert value.tobytes() == after[name].tobytes(), name
    message = f"in 3 meta-steps in a row, up to 3, .* In {3 * diverged:.0f} of 6 "
    with pytest.raises(FloatingPointError, match=message):
        trainer.fit(9, patience=3, verbose=0)
    assert trainer.step == 3
