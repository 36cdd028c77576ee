"""Intervals are Student's, and cover the mean as often as they say."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lrlearn.evaluation import hierarchical_bootstrap, mean_interval, summarize


@pytest.mark.parametrize("confidence", [0.5, 0.95])
@pytest.mark.parametrize("values", [[1.0, 4.0], [3.0, 1.0, -2.0, 0.5, 7.0]])
def test_interval_is_students(values, confidence):
    n, s = len(values), np.std(values, ddof=1)
    low, high = stats.t.interval(confidence, n - 1, np.mean(values), s / math.sqrt(n))
    mean, half_width = mean_interval(values, confidence)
    np.testing.assert_allclose([mean - half_width, mean + half_width], [low, high])


def test_interval_of_two_by_hand():
    # t_1 at 97.5 % is tan(0.475 pi); s of (0, 2) is sqrt(2).
    assert mean_interval([0, 2]) == pytest.approx((1.0, math.tan(0.475 * math.pi)))


def test_interval_covers_the_mean():
    samples = np.random.default_rng(0).normal(3.0, 2.0, [2000, 5])
    intervals = (mean_interval(sample) for sample in samples)
    covered = np.mean([abs(mean - 3.0) <= width for mean, width in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)  # three standard errors


@pytest.mark.parametrize("confidence", [0, 1, 95, math.nan, "0.95"])
def test_confidence_is_a_fraction(confidence):
    message = f"`confidence` must be between 0 and 1. Received: {confidence=!r}"
    for function in (mean_interval, hierarchical_bootstrap):
        with pytest.raises(ValueError) as error:
            function([1.0, 2.0], confidence)
        assert str(error.value) == message


def test_single_value_has_no_interval():
    mean, half_width = mean_interval([2.0])
    assert mean == 2.0 and math.isnan(half_width)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_run_is_not_hidden(bad):
    mean, half_width = mean_interval([1.0, bad, 2.0])
    assert not math.isfinite(mean) and math.isnan(half_width)


def test_no_values():
    with pytest.raises(ValueError, match="must not be empty"):
        mean_interval([])


def test_summary_has_a_row_for_each_group_in_order():
    frame = pd.DataFrame(
        {
            "network": ["b", "b", "a", "a"],
            "optimizer": ["y", "y", "z", "z"],
            "loss": [1.0, 3.0, 5.0, 5.0],
            "accuracy": [0.0, 1.0, 0.5, 0.5],
        }
    )
    summary = summarize(frame, ["network", "optimizer"], ["accuracy", "loss"])
    assert list(summary.index) == [("b", "y"), ("a", "z")]
    assert summary.index.names == ["network", "optimizer"]
    assert list(summary["loss", "mean"]) == [2.0, 5.0]
    assert summary["loss", "interval"].iloc[0] == mean_interval([1.0, 3.0])[1]
    assert summary["accuracy", "interval"].iloc[1] == 0
    single = summarize(frame, ["network"], ["loss"])
    assert list(single.index) == ["b", "a"] and single.index.name == "network"
