"""The main job, tiny: whole, the same for the same seed, and blind to test data."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import lrlearn
from paper import MainJob, main_report, run
from paper.main_job import BASELINES, RADII

LEARNED = ["LO", "LO-SAM"]
OPTIMIZERS = [*BASELINES, *LEARNED]


@dataclasses.dataclass(frozen=True)
class Tiny(MainJob):
    """Two rules instead of four, for the time that graphs take."""

    train_size: int = 24
    batch_size: int = 4
    networks: tuple = ("mlp",)
    meta_networks: tuple = ("mlp",)
    meta_steps: int = 2
    horizon: tuple = (20, 20)
    steps: int = 4
    record_every: int = 2
    seeds: int = 2
    tuning_seeds: int = 1
    sharpness_examples: int = 4

    def teachers(self):
        return {name: super(Tiny, self).teachers()[name] for name in LEARNED}


class Blind(Tiny):
    """The same job, with one rule, where there are no test data to look at."""

    def teachers(self):
        return {"LO-SAM": super().teachers()["LO-SAM"]}

    def load(self, network):
        task = super().load(network)
        task.test = None
        return task


@pytest.fixture(scope="module")
def results():
    return run(Tiny(), verbose=0)


def test_every_run_is_there(results):
    runs = results.trajectories.groupby(["network", "optimizer", "seed"], sort=False)
    assert list(runs.groups) == [("mlp", o, s) for o in OPTIMIZERS for s in (0, 1)]
    assert all(list(frame["step"]) == [0, 2, 4] for _, frame in runs)
    metrics = [
        f"{split}_{metric}"
        for split in ("train", "validation", "test")
        for metric in ("loss", "accuracy")
    ]
    assert np.isfinite(results.trajectories[metrics]).all(axis=None)
    assert len(results.sharpness) == len(OPTIMIZERS) * 2 * len(RADII)
    assert (results.sharpness["increase"] > 0).all()
    assert list(results.meta["rule"].unique()) == LEARNED
    assert all(results.meta.groupby("rule").size() == 2)


def test_runs_are_paired_and_rules_differ(results):
    start = results.trajectories.query("step == 0 and seed == 0")
    assert start["train_loss"].nunique() == 1
    end = results.trajectories.query("step == 4 and seed == 0")
    assert end["train_loss"].nunique() == len(OPTIMIZERS)


def test_learning_rates_are_tuned_for_baselines_only(results):
    trials = results.trials.groupby("optimizer", sort=False)["learning_rate"]
    expected = {name: list(rates) for name, (_, rates) in BASELINES.items()}
    assert trials.unique().map(list).to_dict() == expected
    assert results.trials["seed"].min() >= 1000
    chosen = results.trajectories.groupby("optimizer")["learning_rate"]
    for name, (_, rates) in BASELINES.items():
        (rate,) = chosen.get_group(name).unique()
        tried = results.trials.query("optimizer == @name").set_index("learning_rate")
        assert rate in rates
        best = tried["validation_accuracy"].max()
        assert tried.loc[rate, "validation_accuracy"] == best
    assert all(chosen.get_group(name).isna().all() for name in LEARNED)


def test_the_table_can_be_made(results):
    table = main_report.summary_table(results)
    assert list(table.index) == [("mlp", name) for name in OPTIMIZERS]


def test_the_same_numbers_again_even_without_test_data(results):
    again = run(Blind(), verbose=0)
    trajectories = results.trajectories.drop(columns=["test_loss", "test_accuracy"])
    for frame, expected in [
        (again.meta, results.meta.query("rule == 'LO-SAM'")),
        (again.trials, results.trials),
        (again.trajectories, trajectories.query("optimizer != 'LO'")),
        (again.sharpness, results.sharpness.query("optimizer != 'LO'")),
    ]:
        expected = expected.reset_index(drop=True)
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)


def test_teachers():
    teachers = MainJob(rho=0.3, gam_rho=0.2).teachers()
    kinds = [None, *(getattr(lrlearn.regularizers, n) for n in ("SAM", "GSAM", "GAM"))]
    assert list(teachers) == ["LO", "LO-SAM", "LO-GSAM", "LO-GAM"]
    for teacher, kind in zip(teachers.values(), kinds, strict=True):
        assert teacher is None if kind is None else type(teacher) is kind
    assert [t.rho for t in teachers.values() if t] == [0.3, 0.3, 0.2]


def test_tasks_are_small_and_noisy():
    task = MainJob(train_size=300, batch_size=7).load("cnn")
    assert task.name == "digits/cnn" and task.batch_size == 7
    assert len(task.train[0]) == 300
    clean = lrlearn.tasks.load("digits/cnn", train_size=300, label_noise=0.0)
    assert (task.train[1] != clean.train[1]).sum() == round(300 * MainJob.label_noise)
