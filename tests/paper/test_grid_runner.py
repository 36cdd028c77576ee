"""A tiny grid, run whole: complete, resumable, reproducible, blind to test data."""

import copy
import dataclasses
import json

import numpy as np
import pytest

import lrlearn
from lrlearn.evaluation import SharpnessEvaluator, Training
from paper.grid import execution, runner, store
from paper.grid.cells import Jobs
from paper.grid.grid import TaskName
from paper.grid.meta_training import load_task, rule_in_use, unpack
from paper.grid.optimizers import BASES, LEARNED, TUNED
from tests.paper.small_grid import SMALL

pytestmark = pytest.mark.long

TINY = dataclasses.replace(
    SMALL,
    name="tiny",
    networks=("mlp",),
    horizons=(("*", (16,)),),
    optimizers=(
        *("Adam-EMA", "Adam linear", "late SAM"),
        *("MLP SAM", "MLP SAM 0.1", "MLP SAM tuned"),
    ),
    meta_seeds=1,
)
TASK = TaskName("digits", "mlp", "small")
SIGNATURE = {"commit": "abc", "command": "test"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("store")
    assert runner.run(TINY, directory, SIGNATURE, verbose=0) == 0
    return directory


@pytest.fixture(scope="module")
def rows(directory):
    return store.read(directory)


def runs_of(rows, optimizer):
    return [
        row
        for row in rows
        if row["kind"] == "run" and row["cell"]["optimizer"] == optimizer
    ]


def row_of(rows, kind, optimizer):
    return next(
        row
        for row in rows
        if (row["kind"], row["cell"]["optimizer"]) == (kind, optimizer)
    )


def test_every_row_is_there_and_signed(rows):
    expected = {key for job in Jobs(TINY, runner.data_of).all() for key in job.keys}
    assert {row["key"] for row in rows} == expected
    assert all(row["commit"] == "abc" and row["cpu_seconds"] > 0 for row in rows)


def test_the_first_seed_has_a_landscape(rows):
    for name in TINY.optimizers:
        first, *others = runs_of(rows, name)
        assert {len(values) for values in first["end"]["landscape"].values()} == {25}
        assert not any("landscape" in row["end"] for row in others)


def test_run_again_nothing_is_done(directory, rows, capsys):
    runner.run(TINY, directory, SIGNATURE)
    assert store.read(directory) == rows
    told = capsys.readouterr().err
    # Two seeds of each of six optimizers; four that are tuned, and three more bases.
    assert "Meta-training: 100%" in told and " 1/1 " in told
    assert "Tuning and runs: 100%" in told and " 19/19 " in told


def test_a_store_whose_cells_have_other_settings_is_refused(
    directory, rows, monkeypatch
):
    other = {**runner.data_of("digits"), "checksum": 1}
    monkeypatch.setattr(runner, "data_of", lambda name: other)
    with pytest.raises(ValueError, match="of the same settings .*Received: .* of key"):
        runner.run(TINY, directory, SIGNATURE, verbose=0)
    assert store.read(directory) == rows


def test_what_is_missing_is_run_and_comes_out_the_same(directory, rows, tmp_path):
    store.begin(tmp_path, TINY.describe())
    store.append(tmp_path, rows[:-1])
    assert runner.run(TINY, tmp_path, SIGNATURE, minutes=0, verbose=0) == 1
    assert len(store.read(tmp_path)) == len(rows) - 1
    assert runner.run(TINY, tmp_path, SIGNATURE, verbose=0) == 0
    again = store.read(tmp_path)
    assert [row["key"] for row in again] == [row["key"] for row in rows]
    assert runner.differences(rows, again) == []


def test_rows_of_another_grid_are_taken_if_nothing_differs(directory, rows, tmp_path):
    """One of other optimizers has the same runs of those that both have."""
    names = "Adam-EMA", "Adam linear", "RMSprop"
    other = dataclasses.replace(TINY, optimizers=names)
    store.export(directory, tmp_path / "rows.jsonl.gz")
    arguments = {"minutes": 0, "reuse": tmp_path / "rows.jsonl.gz", "verbose": 0}
    missing = runner.run(other, tmp_path / "store", SIGNATURE, **arguments)
    found = store.read(tmp_path / "store")
    names = {row["cell"]["optimizer"] for row in found}
    assert names == {"Adam-EMA", "Adam linear"}
    assert missing == 1 + TINY.seeds  # tuning and runs of RMSprop
    keys = {row["key"]: row for row in rows}
    assert all(row == keys[row["key"]] for row in found)


def test_verify_finds_the_numbers_of_a_row(directory, rows):
    key = row_of(rows, "run", "late SAM")["key"]
    assert runner.differences(*runner.verify(TINY, directory, key[:20])) == []


def test_verify_tells_what_differs(rows):
    row = row_of(rows, "run", "MLP SAM")
    other = copy.deepcopy(row)
    other["records"][1]["train_loss"] += 1e-6
    other["cpu_seconds"] += 1
    assert [d.split(":")[0] for d in runner.differences(row, other)] == [
        "/records/1/train_loss"
    ]
    other["records"] = other["records"][:-1]
    assert len(runner.differences(row, other)) == 1


def test_verify_says_what_it_needs(rows, tmp_path):
    row = row_of(rows, "run", "MLP SAM")
    store.begin(tmp_path, TINY.describe())
    store.append(tmp_path, [row])
    with pytest.raises(ValueError, match="must hold the meta of MLP SAM first"):
        runner.verify(TINY, tmp_path, row["key"])


@pytest.mark.parametrize("key", ["", "nothing"])
def test_verify_wants_the_key_of_one_row(directory, key):
    with pytest.raises(ValueError, match="`key` must be that of one row. Received"):
        runner.verify(TINY, directory, key)


def test_another_version_of_the_grid_is_refused(directory, rows):
    other = dataclasses.replace(TINY, seeds=3)
    with pytest.raises(ValueError, match="must be of one grid"):
        runner.run(other, directory, SIGNATURE, verbose=0)
    assert store.read(directory) == rows
    changed = dataclasses.replace(TINY, horizons=(("*", (17,)),))
    key = row_of(rows, "run", "MLP SAM")["key"]
    with pytest.raises(ValueError, match="must be that of a cell of grid 'tiny'"):
        runner.verify(changed, directory, key)


@pytest.fixture(scope="module")
def training(rows):
    """A `Training` of one seed, with theta from the store."""
    theta = unpack(row_of(rows, "meta", "MLP SAM")["theta"])
    rule = rule_in_use(LEARNED["MLP SAM"])
    return Training(load_task(TASK), lrlearn.LearnedOptimizer(rule, theta))


def test_a_run_is_that_of_its_optimizer_and_seed(rows, training):
    for row in runs_of(rows, "MLP SAM"):
        seed = row["cell"]["seed"]
        expected = training.run(16, seed, record_every=4)
        records = {record["step"]: record for record in row["records"]}
        for _, alone in expected.iterrows():
            for name in ("train_loss", "validation_loss", "test_loss"):
                assert records[alone["step"]][name] == pytest.approx(
                    alone[name], rel=1e-4
                )
        norm = np.sqrt(
            sum(np.sum(w.numpy() ** 2) for w in training.model.trainable_variables)
        )
        assert records[16]["parameter_norm"] == pytest.approx(norm, rel=1e-5)


def test_sharpness_is_a_lower_bound_of_the_strong_search(rows, training):
    training.run(16, 0)
    task = load_task(TASK)
    x, y = (a[:128] for a in task.train)
    strong = SharpnessEvaluator(lambda w: task.evaluate_loss(w, [], x, y)[0])
    expected = strong(training.model.trainable_variables)
    last = runs_of(rows, "MLP SAM")[0]["records"][-1]["sharpness"]
    found = [row for row in last if row["ball"] == "fixed"]
    for row, (_, best) in zip(found, expected.iterrows(), strict=True):
        assert row["radius"] == best["radius"]
        assert row["surrogate_gap"] == pytest.approx(best["surrogate_gap"], rel=1e-2)
        assert 0.8 * best["increase"] < row["increase"] < 1.001 * best["increase"]


def test_settings_of_a_dial_have_the_same_weights_and_other_runs(rows):
    settings = [{}, {"rho": 0.1}, row_of(rows, "tuning", "MLP SAM tuned")["chosen"]]
    names = "MLP SAM", "MLP SAM 0.1", "MLP SAM tuned"
    ends = {}
    for name, hyperparameters in zip(names, settings, strict=True):
        for run in runs_of(rows, name):
            assert run["hyperparameters"] == hyperparameters
        needs = runs_of(rows, name)[0]["settings"]["needs"]
        assert needs["theta"] == row_of(rows, "meta", "MLP SAM")["key"]
        ends[name] = runs_of(rows, name)[0]["records"][-1]["train_loss"]
    assert settings[2] in LEARNED["MLP SAM tuned"].trials
    assert ends["MLP SAM"] != ends["MLP SAM 0.1"]


def test_explicit_ones_take_rate_and_name_of_the_best_base(rows):
    trials = [
        {"base": base, **trial}
        for base in BASES
        for trial in row_of(rows, "tuning", base)["trials"]
    ]
    best = max(trials, key=lambda t: (t["validation_accuracy"], -t["validation_loss"]))
    chosen = row_of(rows, "tuning", "late SAM")["chosen"]
    assert (chosen["base"], chosen["learning_rate"]) == (
        best["base"],
        best["learning_rate"],
    )
    assert {"rho": chosen["rho"]} in TUNED["late SAM"].trials
    for run in runs_of(rows, "late SAM"):
        assert run["hyperparameters"] == chosen
        assert [r["gradients"] - r["step"] for r in run["records"]][-2:] == [0, 2]


def test_a_nan_never_wins():
    nan = float("nan")
    trials = [
        {
            "learning_rate": rate,
            "seed": seed,
            "validation_accuracy": a,
            "validation_loss": b,
        }
        for rate, a, b in ((1.0, nan, nan), (0.1, 0.5, nan), (0.2, 0.5, 2.0))
        for seed in (0, 1)
    ]
    assert execution.best(trials) == {"learning_rate": 0.2}


def test_a_run_that_diverges_is_a_row_like_any_other(rows):
    """Its hyperparameters blow it up; it is kept, with its losses, and marked."""
    jobs = Jobs(TINY, runner.data_of)
    job = jobs.run("late SAM", TASK, 16)
    tuning = copy.deepcopy(row_of(rows, "tuning", "late SAM"))
    tuning["chosen"] = {"base": "SGD-M", "learning_rate": float("inf"), "rho": 0.1}
    execute = execution.Executor(TINY, {tuning["key"]: tuning})
    with pytest.warns(UserWarning, match="there, are not finite"):
        found = execute(job)
    assert [row["diverged"] for row in found] == [True, True]
    assert not np.isfinite(found[0]["records"][-1]["train_loss"])
    assert json.loads(json.dumps(found[0]))["key"] == job.keys[0]


def test_nothing_is_chosen_on_test_data(monkeypatch, rows):
    def without_test_data(name):
        task = load_task(name)
        task.test = None
        return task

    monkeypatch.setattr("paper.grid.execution.load_task", without_test_data)
    jobs = Jobs(TINY, runner.data_of)
    job = jobs.tuning("Adam-EMA", TASK, 16)
    (found,) = execution.Executor(TINY, {})(job)
    assert found["chosen"] == row_of(rows, "tuning", "Adam-EMA")["chosen"]
    assert found["trials"] == row_of(rows, "tuning", "Adam-EMA")["trials"]
