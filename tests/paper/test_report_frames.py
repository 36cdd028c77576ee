"""A store's rows as frames: every number at its place, whatever is missing."""

import json

import numpy as np
import pandas as pd
import pytest

from paper.report.frames import METRICS, RUN, frames
from tests.paper.grid_rows import make_rows


@pytest.fixture(scope="module")
def rows():
    return make_rows(datasets=("mnist",), meta_seeds=2, seeds=2)


def test_every_run_record_and_ball_has_a_row(rows):
    found = frames(rows)
    runs = [row for row in rows if row["kind"] == "run"]
    # 3 networks, 2 regimes, 9 hand-designed and 2 x 6 x 2 learned, 2 seeds
    assert len(found.runs) == len(runs) == 3 * 2 * (9 + 24) * 2
    assert len(found.records) == 6 * len(runs)
    assert len(found.sharpness) == 3 * 7 * len(runs)
    assert len(found.tuning) == 3 * 2 * 9
    # 9 points; 1 network, 2 regimes, 1 seed
    assert len(found.landscapes) == 9 * 2 * (9 + 24)
    assert len(found.meta) == 24
    assert list(found.records.columns[: len(RUN)]) == RUN


def test_the_numbers_are_those_of_the_rows(rows):
    found = frames(rows)
    (row,) = (
        r
        for r in rows
        if r["key"] == "LSTM_SAM-learned-LSTM-SAM-1-mnist-cnn-full-100-1"
    )
    run = found.runs.set_index("key").loc[row["key"]]
    last = row["records"][-1]
    assert run["task"] == "mnist/cnn" and run["kind"] == "learned"
    assert (run["rule"], run["teacher"]) == ("LSTM", "SAM")
    assert (run["meta_seed"], run["seed"], run["steps"]) == (1, 1, 100)
    assert run["cpu_seconds"] == 2.0 and run["gradients"] == 100
    at_end = {**last, **row["end"]}
    assert [run[name] for name in METRICS] == [at_end[name] for name in METRICS]
    assert run["test_loss"] != last["test_loss"] and run["top_eigenvalue"] == 5.0
    records = found.records.query("key == @row['key']")
    for column in ("step", "training_cpu_seconds", *METRICS):
        assert list(records[column]) == [r[column] for r in row["records"]]
    balls = found.sharpness.query("key == @row['key']")
    expected = [b for r in row["records"] for b in r.get("sharpness", ())]
    for column in ("ball", "radius", "clean_loss", "increase", "max_gradient_norm"):
        assert list(balls[column]) == [b[column] for b in expected]
    assert balls["step"].iloc[-1] == 100


def test_landscapes_are_those_of_the_rows(rows):
    planes = frames(rows).landscapes
    (row,) = (
        r
        for r in rows
        if r["key"] == "Adam-baseline-None-None-None-mnist-mlp-small-100-0"
    )
    plane = planes.query("key == @row['key']")
    for column, values in row["end"]["landscape"].items():
        assert list(plane[column]) == values
    assert set(plane["optimizer"]) == {"Adam"} and set(plane["regime"]) == {"small"}


def test_what_the_rules_were_meta_trained_on(rows):
    runs = frames(rows).runs
    trained = runs[runs["meta_trained"]]
    assert set(zip(trained["task"], trained["regime"], strict=True)) == {
        ("mnist/mlp", "small"),
        ("mnist/mlp_relu", "small"),
    }


def test_hand_designed_optimizers_have_hyperparameters_and_no_rule(rows):
    runs = frames(rows).runs
    hand = runs["kind"] != "learned"
    assert runs.loc[hand, ["rule", "teacher", "meta_seed"]].isna().all(axis=None)
    assert (runs.loc[hand, "learning_rate"] == 0.01).all()
    assert runs.loc[~hand, "learning_rate"].isna().all()
    assert runs["rho"].isna().all()


def test_a_diverged_run_stays(rows):
    broken = json.loads(json.dumps(rows[-1]))
    broken["diverged"] = True
    broken["records"][-1]["train_loss"] = np.nan
    broken["end"]["test_loss"] = np.inf
    found = frames([broken])
    assert found.runs["diverged"].all() and np.isinf(found.runs["test_loss"]).all()
    assert len(found.records) == 6


def test_an_empty_store_has_the_columns():
    full, empty = frames(make_rows(datasets=("mnist",))), frames([])
    for name, frame in vars(empty).items():
        assert len(frame) == 0
        pd.testing.assert_index_equal(frame.columns, getattr(full, name).columns)


def test_trials_are_counted_once_for_all_seeds(rows):
    tuning = json.loads(json.dumps(next(r for r in rows if r["kind"] == "tuning")))
    count = len(tuning["trials"])
    tuning["trials"] += [{**trial, "seed": 1001} for trial in tuning["trials"]]
    tuning["settings"]["seeds"] = [1000, 1001]
    assert frames([tuning]).tuning["trials"].item() == count
