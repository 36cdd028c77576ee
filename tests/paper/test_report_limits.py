"""What the rows lack and rest on, and what checks of the method found."""

import itertools

import pandas as pd
import pytest

from paper.grid.grid import GRIDS, Grid
from paper.report import limits
from paper.report.study import Study
from tests.paper.grid_rows import make_rows

SMALL = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("small",)}
PART = {**SMALL, "rules": ("LSTM",), "records": 4}


@pytest.fixture
def coverage(tmp_path, monkeypatch):
    rows = [
        ("crossed", 10, 0.9),
        ("crossed", 2, 0.7),
        ("shared", 2, 0.665),
        ("shared", 10, 0.8),
    ]
    table = pd.DataFrame(rows, columns=["variance", "meta_seeds", "covered"])
    table.to_csv(tmp_path / "interval_coverage.csv", index=False)
    monkeypatch.setattr(limits, "RESULTS", tmp_path)
    return limits.coverage()


@pytest.fixture
def ascent(tmp_path, monkeypatch):
    """The cheap search misses 20 % of LSTM SAM's increase on one task, else nothing."""
    optimizers = ("Adam", "LSTM none", "LSTM SAM", "MLP none", "MLP SAM")
    cases = itertools.product(
        ("a", "b"), optimizers, (0, 1), (5, 10), ("fixed", "relative"), (0.02, 0.05)
    )
    columns = ["task", "optimizer", "seed", "steps", "ball", "radius"]
    table = pd.DataFrame(cases, columns=columns).assign(increase_ratio=1.0)
    short = table["task"].eq("a") & table["optimizer"].eq("LSTM SAM")
    table.loc[short & table["steps"].eq(10), "increase_ratio"] = 0.8
    table.loc[table["ball"].eq("fixed"), "increase_ratio"] = 0.1
    table.loc[table["radius"].eq(0.05), "increase_ratio"] = 0.1
    table.to_csv(tmp_path / "ascent_check.csv", index=False)
    monkeypatch.setattr(limits, "RESULTS", tmp_path)

    def ascent(*points):
        rows = make_rows(**PART, seeds=len(points), teachers=())
        for row in rows:
            if row["kind"] == "run":
                steps = points[row["cell"]["seed"]]
                row["cell"]["steps"] = 100 + steps
                measures = {**row["settings"]["measures"], "ascent_steps": steps}
                row["settings"] = {**row["settings"], "measures": measures}
        return limits.ascent(Study(rows))

    return ascent


def test_coverage(coverage):
    assert coverage["meta_seeds"] == ["2", "10"]
    assert coverage["shared"] == ["66.5", "80.0"]
    assert coverage["crossed"] == ["70.0", "90.0"]


def test_what_the_search_misses(ascent):
    five, ten = ascent(10, 5)
    assert (five["points"], ten["points"], five["runs"]) == (5, 10, 20)
    assert ten["short"] == pytest.approx(20) and five["short"] == 0
    exact = "1.00 [1.00, 1.00]"
    assert ten["off"] == {"MLP-LO": exact, "LSTM-LO": "0.89 [0.80, 1.00]"}  # 0.8 ** 0.5
    assert five["off"] == {"MLP-LO": exact, "LSTM-LO": exact}
    assert [found["points"] for found in ascent(10)] == [10]
    assert ascent(3) == []


def test_ends_of_ranges():
    rows = make_rows(**PART, seeds=1)
    for row in rows:
        if row["kind"] == "tuning" and row["cell"]["optimizer"] == "Adam":
            row["chosen"] = {"learning_rate": 0.001}
    found = limits.ends_of_ranges(rows)
    assert (found["tunings"], found["lowest"], found["highest"]) == (9, 1, 8)
    assert found["lowest_of"] == "Adam 1"
    assert found["highest_of"].startswith("SGD-M 1, RMSprop 1, Adam-EMA 1, AdamW 1, e")


def test_runs_that_did_not_learn():
    runs = [row for row in make_rows(**PART) if row["kind"] == "run"]
    for row in runs:
        stuck = row["cell"]["optimizer"] in ("Adam", "LSTM SAM")
        row["end"] = {**row["end"], "test_accuracy": 0.119 if stuck else 0.121}
    # 2 seeds; LSTM SAM has 2 meta-seeds
    assert limits.stuck(Study(runs)) == {
        "limit": 12.0,
        "runs": 6,
        "learned": 4,
        "by_task": "MNIST MLP† small 6",
        "by_optimizer": "Adam 2, LSTM-LO + SAM 4",
    }


def test_what_was_measured():
    (row,) = limits.measures(Study(make_rows(**PART))).to_dict("records")
    # No more than there are: 1,024 are asked for.
    assert list(row.values()) == [
        *("MNIST MLP†", "small", 100, 1000, 0.2, 64, 1000, 10, 1000, 100)
    ]


def test_the_share_of_the_start():
    steps, share = limits.initial_share(Study(make_rows(**PART)))
    assert steps == 100 and share == pytest.approx(0.99**100)


def test_missing_runs_are_listed(monkeypatch):
    grid = Grid(
        "made_up",
        **SMALL,
        horizons=(("*", (100,)),),
        optimizers=("Adam", "SAM", "LSTM none"),
        meta_seeds=2,
        seeds=2,
    )
    part = {"baselines": ("Adam",), "explicit": ("SAM",), "teachers": ("none",)}
    rows = make_rows(**PART, **part)
    assert limits.missing(Study(rows)) == (None, {})
    monkeypatch.setitem(GRIDS, "made_up", grid)
    assert limits.missing(Study(rows)) == (8, {})
    some = [row for row in rows if row["cell"].get("seed") != 1]
    total, lacking = limits.missing(Study(some))
    assert total == 8
    assert lacking == {
        "Adam, explicit SAM": "MNIST MLP† small (1)",
        "LSTM-LO": "MNIST MLP† small (2)",
    }


def test_a_grid_that_was_another_is_not_known(monkeypatch):
    """Its cells are not those that are missing of today's."""
    rows = make_rows(**PART, baselines=("Adam",), explicit=(), teachers=())
    grid = Grid("made_up", **SMALL, horizons=(("*", (200,)),), optimizers=("Adam",))
    monkeypatch.setitem(GRIDS, "made_up", grid)
    assert limits.missing(Study(rows)) == (None, {})


def test_dials_at_their_defaults():
    axes = {**PART, "regimes": ("full", "small")}
    rows = make_rows(**axes, teachers=("none", "SAM", "L2"))
    assert limits.dials(Study(rows)) == {}  # rows do not tell
    told = {("full", "SAM"): 0.0, ("small", "SAM"): 0.1, ("small", "L2"): 0.05}
    for row in rows:
        cell = row["cell"]
        row["dial"] = told.get((cell.get("regime"), cell["teacher"]))
        if row["dial"] and cell.get("seed"):
            row["dial"] = 0.02
    expected = {"full": "SAM 0", "small": "SAM 0.02 to 0.1, L2 0.02 to 0.05"}
    assert limits.dials(Study(rows)) == expected


def test_runs_shorter_than_those_of_the_full_grid():
    rows = make_rows(**PART)
    assert limits.shortened(Study(rows)) == {(100, 2000): "MNIST MLP† small"}
