"""The report names everything, and its files hold what was found."""

import dataclasses
import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lrlearn.evaluation import mean_interval
from paper import MainJob, main_report
from tests.paper.results import NETWORKS, OPTIMIZERS, RADII, make_results


@pytest.fixture(scope="module")
def results():
    return make_results()


def test_the_table_has_a_row_for_each_network_and_optimizer(results):
    table = main_report.summary_table(results)
    assert list(table.index) == [(n, o) for n in NETWORKS for o in OPTIMIZERS]
    increases = [f"increase r={radius:g}" for radius in RADII]
    assert list(table.columns) == ["test accuracy %", "train loss", *increases]


def test_the_cells_are_means_over_seeds_at_the_end(results):
    table = main_report.summary_table(results)
    runs, flatness = results.trajectories, results.sharpness
    runs = runs.query("network == 'cnn' and optimizer == 'LO-SAM' and step == 50")
    at = "network == 'cnn' and optimizer == 'LO-SAM' and radius == 0.1"
    for column, values in {
        "test accuracy %": 100 * runs["test_accuracy"],
        "train loss": runs["train_loss"],
        "increase r=0.1": flatness.query(at)["increase"],
    }.items():
        mean, width = mean_interval(values)
        cell = table.loc[("cnn", "LO-SAM"), column]
        found = [float(number) for number in cell.split(" ± ")]
        assert found == pytest.approx([mean, width], rel=0.06)


def test_files(results, tmp_path):
    job, figures_before = MainJob(seeds=3), plt.get_fignums()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "summary.csv").write_text("of an earlier report")
    paths = main_report.write(results, job, tmp_path / "new", {"command": "x"})
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())
    for name, frame in vars(results).items():
        read = pd.read_csv(tmp_path / "new" / f"{name}.csv")
        pd.testing.assert_frame_equal(read, frame)
    content = json.loads((tmp_path / "new" / "results.json").read_text())
    settings = json.loads(json.dumps(dataclasses.asdict(job)))
    assert content["settings"] == settings and content["command"] == "x"
    table = main_report.summary_table(results).reset_index()
    assert content["summary"] == table.to_dict("records")
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "new" / "summary.csv"), table, check_dtype=False
    )
    figures = [path for path in paths if path.suffix == ".png"]
    assert len(figures) >= 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)
    assert plt.get_fignums() == figures_before
