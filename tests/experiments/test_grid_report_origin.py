"""Rows that cannot be compared are refused; others say what they are of."""

import copy

import pytest

from lrlearn.experiments.grid.grid import GRIDS
from lrlearn.experiments.grid.rows import KINDS
from lrlearn.experiments.grid_report import forecast, origin
from lrlearn.experiments.grid_report.content import content
from lrlearn.experiments.grid_report.frames import frames
from tests.experiments.grid_rows import make_rows

PART = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("small",)}


@pytest.fixture
def rows():
    return make_rows(**PART, rules=("LSTM",), teachers=("none", "SAM"))


def refused(rows, match):
    with pytest.raises(ValueError, match=match):
        content(rows)


def test_rows_as_they_should_be(rows):
    origin.check(rows)


@pytest.mark.parametrize("kind", KINDS)
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


def test_rows_of_other_measures_forecast_nothing(rows):
    for row in rows:
        if row["kind"] == "run":
            row["settings"]["measures"] = {"a measure of the past": 1}
    assert forecast.cpu_seconds(rows, GRIDS["full"]) is None
