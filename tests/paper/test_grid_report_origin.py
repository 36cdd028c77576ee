"""Rows that cannot be compared are refused; others say what they are of."""

import copy
import dataclasses

import pytest

from paper.grid.grid import GRIDS, Grid, Measures
from paper.report import forecast, origin
from paper.report.content import content
from paper.report.frames import frames
from tests.paper.grid_rows import make_rows

PART = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("small",)}


@pytest.fixture
def rows():
    return make_rows(**PART, rules=("LSTM",), teachers=("none", "SAM"))


def refused(rows, match):
    with pytest.raises(ValueError, match=match):
        content(rows)


def test_rows_as_they_should_be(rows):
    origin.check(rows)


@pytest.mark.parametrize("kind", ["meta", "tuning", "run"])
def test_two_rows_of_a_cell_are_refused(rows, kind):
    row = next(row for row in rows if row["kind"] == kind)
    refused([*rows, {**row, "key": "other"}], f"one row.*Received: {kind} .*and other")


def test_two_versions_of_a_data_set_are_refused(rows):
    mixed = copy.deepcopy(rows)
    for i, row in enumerate(mixed):
        row["settings"]["data"] = {"name": "mnist", "checksum": i // (len(rows) - 1)}
    refused(mixed, "share the data of a data set.*'checksum': 0.*'checksum': 1")
    mixed[-1]["settings"]["data"] = {"name": "digits", "checksum": 1}
    origin.check(mixed)


def test_trials_are_counted_once_for_all_seeds(rows):
    tuning = next(row for row in rows if row["kind"] == "tuning")
    count = len(tuning["trials"])
    tuning["trials"] += [{**trial, "seed": 1001} for trial in tuning["trials"]]
    tuning["settings"]["seeds"] = [1000, 1001]
    assert frames([tuning]).tuning["trials"].item() == count


def test_the_forecast_is_in_proportion_to_steps_and_passes(rows):
    """Rows of runs have 100 steps in 1 s, and take 1 s for all that is measured."""
    flat = dataclasses.replace(Measures(), landscape_points=(("*", 0),))
    grid = Grid(
        "g",
        **PART,
        horizons=(("*", (200,)),),
        optimizers=("Adam", "LSTM none"),
        meta_seeds=3,
        seeds=4,
        tuning_seeds=2,
        measures=flat,
    )
    # 8 times 7 balls of 10 points and the centre, records, Hessian, landscape.
    passes = 8 * 71 * 1024 + 20 * 2000 + 2 * 100 * 1024
    share = passes / (passes + 25**2 * 1024 / 3)
    found = forecast.cpu_seconds(rows, grid)
    assert found == pytest.approx(
        # A tuning took 4 s for 100 steps and a seed.
        {"meta": 3 * 50, "tuning": 4 * 2 * 2, "run": (4 + 3 * 4) * (2 + share)}
    )


def test_rows_of_other_measures_forecast_nothing(rows):
    for row in rows:
        if row["kind"] == "run":
            row["settings"]["measures"] = {"a measure of the past": 1}
    assert forecast.cpu_seconds(rows, GRIDS["full"]) is None
