"""Cells of the table are means over the runs of an optimizer, at their end."""

import numpy as np
import pytest

from paper.report.summary import summary_table
from tests.paper.grid_rows import make_rows

ROWS = make_rows(
    datasets=("mnist",),
    networks=("mlp", "cnn"),
    regimes=("small",),
    baselines=("Adam",),
    explicit=(),
    rules=("LSTM",),
    teachers=("SAM",),
    seeds=3,
)


def test_a_row_for_each_task_and_optimizer():
    table = summary_table(ROWS)
    tasks = [("mnist", network, "small", 100) for network in ("mlp", "cnn")]
    names = [(*task, o) for task in tasks for o in ("Adam", "LSTM SAM")]
    assert list(table.index) == names
    increases = [f"increase r={radius}" for radius in (0.001, 0.005, 0.05, 0.1)]
    assert list(table.columns) == ["test accuracy %", "train loss", *increases]


def test_cells_are_means_and_intervals_at_the_end():
    table = summary_table(ROWS).loc[("mnist", "cnn", "small", 100, "LSTM SAM")]
    runs = [
        row
        for row in ROWS
        if row["kind"] == "run"
        and (row["cell"]["network"], row["cell"]["optimizer"]) == ("cnn", "LSTM SAM")
    ]
    assert len(runs) == 6  # three seeds of two meta-seeds
    last = [run["records"][-1] for run in runs]
    for column, values in {
        "test accuracy %": [100 * run["end"]["test_accuracy"] for run in runs],
        "train loss": [record["train_loss"] for record in last],
        "increase r=0.1": [
            ball["increase"]
            for record in last
            for ball in record["sharpness"]
            if (ball["ball"], ball["radius"]) == ("fixed", 0.1)
        ],
    }.items():
        mean, half = (float(number) for number in table[column].split(" ± "))
        assert mean == pytest.approx(np.mean(values), rel=0.01)
        # Of three seeds at two meta-seeds, that hardly differ.
        assert 0 < half < np.ptp(values)
