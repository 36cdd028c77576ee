"""What benchmarks said of the method is told from their tables."""

import itertools

import pandas as pd
import pytest

from paper.report import checks


@pytest.fixture
def coverage(tmp_path):
    rows = [
        ("crossed", 10, 0.9),
        ("crossed", 2, 0.7),
        ("shared", 2, 0.665),
        ("shared", 10, 0.8),
    ]
    table = pd.DataFrame(rows, columns=["variance", "meta_seeds", "covered"])
    table.to_csv(tmp_path / "interval_coverage.csv", index=False)
    return checks.coverage(tmp_path)


@pytest.fixture
def ascent(tmp_path):
    """The cheap search misses 20 % of LSTM SAM's increase on one task, else nothing."""
    optimizers = ("Adam", "lstm_none", "lstm_sam", "mlp_none", "mlp_sam")
    cases = itertools.product(
        ("a", "b"), optimizers, (0, 1), (5, 10), ("fixed", "relative"), (0.02, 0.05)
    )
    columns = ["task", "optimizer", "seed", "steps", "ball", "radius"]
    table = pd.DataFrame(cases, columns=columns).assign(increase_ratio=1.0)
    short = table["task"].eq("a") & table["optimizer"].eq("lstm_sam")
    table.loc[short & table["steps"].eq(10), "increase_ratio"] = 0.8
    table.loc[table["ball"].eq("fixed"), "increase_ratio"] = 0.1
    table.loc[table["radius"].eq(0.05), "increase_ratio"] = 0.1
    table.to_csv(tmp_path / "ascent_check.csv", index=False)
    return lambda points: checks.ascent(tmp_path, points)


def test_coverage(coverage):
    assert "over 2 and 10 meta-seeds held the truth in 66.5 and 80.0 %" in coverage
    assert "in 70.0 and 90.0 % of cases where it is so on each task anew" in coverage


def test_what_the_search_misses(ascent):
    text = ascent({10, 5})
    assert "at the end of 20 runs" in text and "relative radius 0.02" in text
    lstm = "LSTM 0.89 [0.80, 1.00]"  # 0.8 ** 0.5
    assert f"At 10 points: up to 20 %, and {lstm} and MLP 1.00 [1.00, 1.00]." in text
    assert "At 5 points: up to 0 %, and LSTM 1.00 [1.00, 1.00] and MLP" in text
    assert "At 5" not in ascent({10})


def test_other_numbers_of_points_are_not_told(ascent):
    assert ascent({3}).endswith("does not tell what 3 points miss.")


def test_other_optimizers_tell_nothing_of_the_ratio(tmp_path, ascent):
    table = pd.read_csv(tmp_path / "ascent_check.csv")
    table[table["optimizer"] != "mlp_none"].to_csv(tmp_path / "ascent_check.csv")
    assert ascent({10}).endswith("does not tell what 10 points miss.")


def test_without_tables_they_are_asked_for(tmp_path):
    for name, text in (
        ("interval_coverage", checks.coverage(tmp_path)),
        ("ascent_check", checks.ascent(tmp_path, {10})),
    ):
        assert f"no `{name}.csv`, which `python -m benchmarks.{name}" in text
