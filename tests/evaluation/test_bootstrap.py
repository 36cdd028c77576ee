"""Intervals against enumeration, closed forms and simulated truth."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from lrlearn.evaluation.bootstrap import (
    Interval,
    hierarchical_bootstrap,
    log_ratio,
    verdict,
)


def _enumerated(tasks):
    """The mean over tasks in every resample, all equally likely, by index."""
    n_meta = len(tasks[0])
    for rows in itertools.product(range(n_meta), repeat=n_meta):
        columns = [itertools.product(range(len(t[0])), repeat=len(t[0])) for t in tasks]
        for drawn in itertools.product(*columns):
            cells = [t[np.ix_(rows, c)] for t, c in zip(tasks, drawn, strict=True)]
            yield np.mean([cell.mean() for cell in cells])


def _variance(tasks):
    """The resampled mean's variance, from a two-way analysis of variance."""
    effects = [task.mean(axis=1) - task.mean() for task in tasks]
    total = np.sum(np.mean(effects, axis=0) ** 2) / len(effects[0]) ** 2
    for task, effect in zip(tasks, effects, strict=True):
        seed_effect = task.mean(axis=0) - task.mean()
        rest = task - task.mean() - effect[:, None] - seed_effect
        within = np.sum(seed_effect**2) / task.shape[1] ** 2
        total += (within + np.sum(rest**2) / task.size**2) / len(tasks) ** 2
    return total


def _simulated(rng, meta_seeds, seeds, tasks):
    """Differences of mean 1: effects of task, meta-seed and seed, and a rest."""
    shared = rng.normal(0, 1.0, [meta_seeds, 1])
    fixed = np.linspace(-1, 1, tasks)
    own = [
        rng.normal(0, 0.7, [meta_seeds, 1])
        + rng.normal(0, 1.0, [1, seeds])
        + rng.normal(0, 0.5, [meta_seeds, seeds])
        for _ in range(tasks)
    ]
    return [1 + effect + shared + rest for effect, rest in zip(fixed, own, strict=True)]


def test_sample_is_distributed_as_the_enumerated_resamples():
    tasks = [np.array([[1.0, 2.0, 5.0], [0.0, 9.0, 4.0]]), np.array([[3.0], [-8.0]])]
    every = np.array(list(_enumerated(tasks)))
    interval, sample = hierarchical_bootstrap(tasks, resamples=40_000)
    assert interval.mean == pytest.approx((21 / 6 - 5 / 2) / 2)
    grid = np.unique(every.round(9)) + 1e-6
    expected = [(every <= x).mean() for x in grid]
    # Four standard errors of a fraction of 40,000.
    np.testing.assert_allclose(
        [(sample <= x).mean() for x in grid], expected, atol=0.01
    )


@pytest.mark.parametrize("shape", [(1, 6), (4, 1), (5, 3)])
@pytest.mark.parametrize("n_tasks", [1, 4])
def test_variance_is_that_of_the_crossed_design(shape, n_tasks):
    rng = np.random.default_rng(1)
    tasks = [rng.normal(size=shape) for _ in range(n_tasks)]
    _, sample = hierarchical_bootstrap(tasks, resamples=50_000)
    assert sample.var() == pytest.approx(_variance(tasks), rel=0.04)
    assert sample.mean() == pytest.approx(np.mean(tasks), abs=4 * sample.std() / 200)


def test_meta_seeds_are_drawn_once_for_all_tasks():
    effect = np.array([[-1.0], [0.0], [1.0]])
    _, same = hierarchical_bootstrap([effect] * 3)
    _, single = hierarchical_bootstrap([effect])
    assert same.var() == pytest.approx(single.var())
    _, opposite = hierarchical_bootstrap([effect, -effect])
    assert np.ptp(opposite) == pytest.approx(0, abs=1e-12)


def test_one_row_is_the_bootstrap_of_a_mean():
    values = np.random.default_rng(2).normal(size=12)
    interval, _ = hierarchical_bootstrap([values], resamples=20_000)
    scipys = stats.bootstrap(
        [values], np.mean, n_resamples=20_000, method="percentile", rng=5
    ).confidence_interval
    assert interval[1:] == pytest.approx(scipys, abs=0.03)


def test_interval_is_the_percentiles_and_exact_by_seed():
    tasks = np.random.default_rng(3).normal(size=[2, 5, 4])
    interval, sample = hierarchical_bootstrap(tasks, confidence=0.8, resamples=1000)
    assert interval.mean == pytest.approx(tasks.mean())
    below = [(sample <= end).mean() for end in interval[1:]]
    assert below == pytest.approx([0.1, 0.9]) and set(interval[1:]) <= set(sample)
    again, other = (
        hierarchical_bootstrap(tasks, 0.8, resamples=1000, seed=s)[1] for s in (0, 1)
    )
    assert np.array_equal(again, sample) and not np.array_equal(other, sample)


def test_it_covers_the_truth():
    rng = np.random.default_rng(4)
    found = [
        hierarchical_bootstrap(_simulated(rng, 25, 10, 3), resamples=600)[0]
        for _ in range(600)
    ]
    covered = np.mean([low <= 1 <= high for _, low, high in found])
    # 25 meta-seeds: the normal interval with their biased variance; 3 standard errors.
    expected = 1 - 2 * stats.t.sf(1.96 * math.sqrt(24 / 25), 24)
    assert covered == pytest.approx(expected, abs=0.03)


def test_missing_runs_are_left_out():
    nan = math.nan
    tasks = [[[1.0, nan, 3.0], [nan, nan, 8.0], [nan, nan, nan]]]
    interval, sample = hierarchical_bootstrap([*tasks, [[nan]] * 3])
    assert interval.mean == 4.0
    # Neither the seed nor the meta-seed of which nothing is there: two of each.
    assert set(sample.round(9)) == {
        *(1.0, 3.0, 8.0),  # one seed, one meta-seed
        *(2.0, 4.0, 5.5),  # [1, 3], [1, 3, 8] and [3, 8]
    }


def test_a_task_that_a_resample_misses_keeps_its_mean():
    nan = math.nan
    only_first = [[2.0], [nan]]
    interval, sample = hierarchical_bootstrap([only_first, [[0.0], [0.0]]])
    assert interval == (1.0, 1.0, 1.0) and np.ptp(sample) == 0


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_failure_is_infinite(sign):
    interval, sample = hierarchical_bootstrap([[[0.0, sign * math.inf]], [[1.0, 2.0]]])
    assert interval.mean == sign * math.inf
    finite = np.isfinite(sample)
    # The resamples that draw the first seed twice.
    assert finite.mean() == pytest.approx(0.25, abs=0.02)
    assert sorted(set(sample[finite])) == [0.5, 0.75, 1.0]
    assert sorted(interval[1:], key=abs) == [0.5 if sign > 0 else 1.0, sign * math.inf]


def test_failures_of_both_sides_cancel():
    tasks = [[[math.inf, 1.0]], [[5.0, -math.inf]]]
    assert hierarchical_bootstrap(tasks)[0] == (1.5, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("differences", "message"),
    [
        ([], "At least one run must be measured"),
        ([[[math.nan]]], "At least one run must be measured"),
        ([[[1.0]], [[1.0], [2.0]]], "must have the same meta-seeds.*1, 2"),
    ],
)
def test_bad_differences(differences, message):
    with pytest.raises(ValueError, match=message):
        hierarchical_bootstrap(differences)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.3, 2.1, "holds"),
        (0.1, 0.2, "holds"),
        (-2.0, -0.1, "does not hold"),
        (-0.5, 0.5, "does not hold"),
        (-0.5, 0.6, "undecided"),
        (-0.6, 0.5, "undecided"),
        (0.0, 0.6, "undecided"),
        (-0.6, 0.0, "undecided"),
        (-math.inf, math.inf, "undecided"),
        (0.1, math.inf, "holds"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_verdicts(low, high, expected):
    assert verdict(Interval(0.0, low, high), 0.5) == expected
    assert verdict(Interval(0.0, -high, -low), 0.5, claimed=-1) == expected


def test_verdict_wants_a_sign():
    with pytest.raises(ValueError, match="must be 1 or -1. Received: claimed=0"):
        verdict(Interval(0.0, -1.0, 1.0), 0.5, claimed=0)


def test_log_ratio():
    x = [3.0, 3e-9, math.inf, 0.0, math.inf, 0.0, math.nan, 1e9, math.inf]
    y = [2.0, 2e-9, 1.0, 1.0, math.inf, 0.0, 1.0, 1.0, math.nan]
    expected = np.log([1.5, 1.5, 1e3, 1e-3, 1.0, 1.0, math.nan, 1e3, math.nan])
    np.testing.assert_allclose(log_ratio(x, y), expected)
    np.testing.assert_allclose(
        log_ratio(y, x, limit=10), np.clip(-expected, *np.log([0.1, 10]))
    )
