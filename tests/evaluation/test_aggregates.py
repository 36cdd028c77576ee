"""Aggregates against scipy, enumeration and definitions spelled out."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lrlearn.evaluation.aggregates import (
    interquartile_mean,
    performance_profiles,
    probability_of_improvement,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shapes", [[(1, 3)], [(1, 5)] * 3, [(5, 3), (5, 2), (5, 4)]])
def test_iqm_is_scipys_trimmed_mean(rng, shapes):
    scores = [rng.normal(size=shape) for shape in shapes]
    interval, sample = interquartile_mean(scores, resamples=200)
    pooled = np.concatenate([score.ravel() for score in scores])
    assert interval.mean == pytest.approx(stats.trim_mean(pooled, 0.25))
    assert sample.shape == (200,)


def test_iqm_of_what_is_there(rng):
    scores = rng.normal(size=[2, 3, 4])
    scores[0, 1, 2] = scores[1, 2, 0] = math.nan
    pooled = scores[np.isfinite(scores)]
    interval, _ = interquartile_mean(scores, resamples=10)
    assert interval.mean == pytest.approx(stats.trim_mean(pooled, 0.25))


def test_iqm_is_resampled_within_tasks(rng):
    scores = [rng.normal(size=3), rng.normal(3, 1, size=2)]
    every = [
        stats.trim_mean(np.concatenate(runs), 0.25)
        for runs in itertools.product(
            *(itertools.product(score, repeat=len(score)) for score in scores)
        )
    ]
    interval, sample = interquartile_mean(scores, resamples=40_000)
    assert sample.mean() == pytest.approx(np.mean(every), abs=0.01)
    assert sample.std() == pytest.approx(np.std(every), rel=0.02)
    ends = np.quantile(every, [0.025, 0.975], method="inverted_cdf")
    assert interval[1:] == pytest.approx(ends, abs=0.02)


def test_iqm_hardly_moves_with_outliers(rng):
    scores = rng.normal(size=[3, 8])
    spoiled = scores.copy()
    spoiled[0, 0] = -1e6
    low, spoiled_low = (interquartile_mean(s)[0].low for s in (scores, spoiled))
    assert abs(low - spoiled_low) < 0.5


def test_iqm_wants_finite_scores():
    with pytest.raises(ValueError, match="`scores` must be finite, or NaN"):
        interquartile_mean([[1.0, -math.inf]])


def test_probability_is_mann_and_whitneys(rng):
    x = [rng.integers(0, 4, size=(2, 5)) * 1.0 for _ in range(3)]
    y = [rng.integers(0, 4, size=(1, 6)) * 1.0 for _ in range(3)]
    expected = [
        stats.mannwhitneyu(a.ravel(), b.ravel()).statistic / (a.size * b.size)
        for a, b in zip(x, y, strict=True)
    ]
    forth, back = (
        probability_of_improvement(*s, resamples=99) for s in ((x, y), (y, x))
    )
    assert forth[0].mean == pytest.approx(np.mean(expected))
    assert back[0].mean == pytest.approx(1 - np.mean(expected))


def test_probability_is_resampled_as_enumerated():
    x, y = [1.0, 4.0, 6.0], [2.0, 4.0]
    every = [
        np.mean([(a > b) + (a == b) / 2 for a in xs for b in ys])
        for xs in itertools.product(x, repeat=3)
        for ys in itertools.product(y, repeat=2)
    ]
    interval, sample = probability_of_improvement([x], [y], resamples=40_000)
    for value in np.unique(np.round(every, 9)) + 1e-6:
        expected = np.mean(np.array(every) <= value)
        assert np.mean(sample <= value) == pytest.approx(expected, abs=0.01)
    ends = np.quantile(every, [0.025, 0.975], method="inverted_cdf")
    assert interval[1:] == pytest.approx(ends)


def test_probability_without_some_runs():
    nan = math.nan
    x = [[[1.0, nan], [3.0, nan]], [[nan, nan]] * 2, [[9.0, 9.0]] * 2]
    y = [[2.0, 0.0, nan], [5.0], [nan, nan]]
    interval, _ = probability_of_improvement(x, y)
    assert interval.mean == 0.75
    holes = [[[0.0, nan], [2.0, 4.0]]]
    forth, _ = probability_of_improvement(holes, [[1.0, 3.0]])
    back, _ = probability_of_improvement([[1.0, 3.0]], holes)
    assert forth.mean == pytest.approx(3 / 6) and back.mean == pytest.approx(3 / 6)
    with pytest.raises(ValueError, match="At least one run must be measured"):
        probability_of_improvement(x[1:], y[1:])


def test_infinite_scores_can_be_compared():
    interval, _ = probability_of_improvement([[math.inf, 1.0]], [[math.inf, -math.inf]])
    assert interval.mean == (0.5 + 1 + 0 + 1) / 4


def test_meta_seeds_widen_the_interval(rng):
    effect = rng.normal(0, 2, size=[5, 1])
    scores = [effect + rng.normal(0, 0.1, size=[5, 5]) for _ in range(4)]
    pooled = [score.ravel() for score in scores]
    crossed, apart = (np.ptp(interquartile_mean(s)[0][1:]) for s in (scores, pooled))
    assert crossed > 2 * apart


def test_profiles_are_the_fractions_of_dolan_and_more(rng):
    rows = itertools.product(["a", "b"], ["small", "full"], ["Adam", "SGD"], range(5))
    runs = pd.DataFrame(rows, columns=["task", "regime", "optimizer", "seed"])
    times = rng.integers(1, 20, len(runs)) * 10.0
    runs["step"] = np.where(rng.uniform(size=len(runs)) < 0.2, math.inf, times)
    factors = [1, 2, 5, 1e9]
    profiles = performance_profiles(runs, "step", factors, ("task", "regime"))
    for optimizer, factor in itertools.product(["Adam", "SGD"], factors):
        near = []
        for _, here in runs.groupby(["task", "regime"]):
            best = here["step"].min()
            own = here.query("optimizer == @optimizer")["step"]
            near += [math.isfinite(t) and t / best <= factor for t in own]
        assert profiles.loc[factor, optimizer] == np.mean(near)
    assert (profiles.loc[1e9] < 1).any() and profiles.index.name == "factor"


def test_profiles_where_nobody_arrives():
    runs = pd.DataFrame({"task": "a", "optimizer": ["x", "y"], "step": math.inf})
    assert (performance_profiles(runs, "step", [1, 10]) == 0).all(axis=None)
