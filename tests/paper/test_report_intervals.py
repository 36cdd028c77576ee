"""Intervals of many groups are those of one group at a time, by brute force."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lrlearn.evaluation.bootstrap import Interval
from paper.report import claims, effects
from paper.report.effects import Effect, intervals

RNG = np.random.default_rng(0)


def frame(values, group="a"):
    """Runs from an array `[meta-seeds, seeds]`, or `[seeds]` of one made by hand."""
    values = np.asarray(values, "float64")
    cells = [
        (group, None if values.ndim == 1 else place[0], place[-1], value)
        for place, value in np.ndenumerate(values)
    ]
    return pd.DataFrame(cells, columns=["group", "meta_seed", "seed", "x"]).astype(
        {"meta_seed": "float64"}
    )


def of(*frames):
    return intervals(pd.concat(frames), ["group"], "x").set_index("group")


def test_seeds_are_resampled(monkeypatch):
    """All 256 resamples of four seeds, equally likely."""
    monkeypatch.setattr(effects, "RESAMPLES", 20_000)
    values = [1.0, 2.0, 4.0, 9.0]
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=4)]
    low, high = np.quantile(means, [0.025, 0.975])
    found = of(frame(values)).loc["a"]
    assert found["mean"] == 4.0
    assert found["half"] == pytest.approx((high - low) / 2, abs=0.1)


def test_meta_seeds_are_resampled_as_a_whole():
    """Where only meta-seeds differ, more seeds make nothing more certain."""
    few, many = (of(frame(np.outer([0.0, 1.0], np.ones(n)))) for n in (2, 9))
    assert few.loc["a", "half"] == many.loc["a", "half"] == 0.5


def test_groups_do_not_mix():
    a, b = RNG.normal(size=[2, 3]), RNG.normal(size=[2, 3])
    hand = RNG.normal(size=3)
    apart = [of(frame(a, "a")), of(frame(hand, "h")), of(frame(b, "b"))]
    together = of(frame(a, "a"), frame(hand, "h"), frame(b, "b"))
    pd.testing.assert_frame_equal(together, pd.concat(apart))


def test_runs_that_are_not_there_are_left_out():
    runs = frame([[1.0, 2.0], [3.0, 10.0]])
    found = of(runs.drop(3)).loc["a"]
    assert found["mean"] == 2.0 and found["half"] > 0
    one = of(runs.iloc[:1]).loc["a"]
    assert one["mean"] == 1.0 and np.isnan(one["half"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_run_that_diverged_is_not(value):
    found = of(frame([[1.0, value], [3.0, 4.0]]), frame([1.0, 3.0], "b"))
    assert np.isinf(found.loc["a", "mean"]) and np.isnan(found.loc["a", "half"])
    assert found.loc["b", "mean"] == 2.0


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((-1.56, -2.72, -0.02), "-1.56 [-2.72, -0.02]"),
        ((1.0, 0.0, 2.0), "+1.0 [0.0, 2.0]"),
        ((-0.001, -0.6, 0.6), "+0.0 [-0.6, 0.6]"),
        ((0.6, 0.06, 1.2), "+0.6 [0.1, 1.2]"),
    ],
)
def test_an_end_that_seems_to_be_nothing_has_one_more_digit(ends, expected):
    assert claims.points(Effect(Interval(*ends), 1, 1, 2, 3, 6)) == expected


def test_a_ratio_that_seems_to_be_one_has_one_more_digit():
    logs = np.log([1.261, 0.996, 1.793])
    effect = Effect(Interval(*logs), 1, 1, 2, 3, 6, left_out=1)
    assert claims.ratio(effect) == "1.261 [0.996, 1.793] (6/7)"
