"""`dial_default` finds the default of a dial that is best on validation data."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

import lrlearn
from lrlearn.evaluation import Training

PROGRAM = "paper.checks.dial_default"
# Validation accuracy at the settings, by epochs: up to 5 the best one is 0, then 0.2.
ACCURACIES = {
    1.0: (0.9, 0.8, 0.7),
    5.0: (0.8, 0.7, 0.5),
    10.0: (0.5, 0.6, 0.9),
    100.0: (0.4, 0.6, 0.7),
}
SETTINGS = 0.0, 0.1, 0.2


@pytest.fixture(name="table")
def _table(program):
    """The candidates' scores; seeds and tasks differ, and their means do not."""
    cases = itertools.product(ACCURACIES.items(), enumerate(SETTINGS), (-1, 1))
    rows = [
        {"task": f"{epochs}", "steps": 10, "epochs": epochs, "rho": rho, "seed": sign}
        | {"validation_accuracy": accuracies[i] + 0.05 * sign}
        for (epochs, accuracies), (i, rho), sign in cases
    ]
    return program.candidates(pd.DataFrame(rows))


def score(table, first, last, setting):
    columns = ["0 up to epochs", "from epochs", "setting"]
    return table.set_index(columns)["validation_accuracy"].loc[first, last, setting]


def test_help(check_help):
    check_help()


def test_the_best_default_is_first(table):
    assert list(table.iloc[0])[:3] == [5, 10, 0.2]
    scores = table["validation_accuracy"]
    assert scores.is_monotonic_decreasing and scores.iloc[0] > scores.iloc[1]
    assert scores.iloc[0] == pytest.approx(np.mean([0.9, 0.8, 0.9, 0.7]))


def test_in_between_it_is_linear(table):
    """In the logarithm of the epochs, 10 is half way from 1 to 100."""
    at_5 = 0.1 * np.log(5) / np.log(10)  # the setting
    accuracy_at_5 = 0.8 - (0.8 - 0.7) * at_5 / 0.1
    expected = np.mean([0.9, accuracy_at_5, 0.6, 0.7])
    assert score(table, 1, 100, 0.2) == pytest.approx(expected)


def test_at_0_all_are_the_same(table):
    zero = table[table["setting"] == 0.0]["validation_accuracy"]
    assert zero.to_numpy() == pytest.approx(np.mean([0.9, 0.8, 0.5, 0.4]))
    assert (table["0 up to epochs"] < table["from epochs"]).all()


def test_presets_are_needed(run):
    assert "--presets" in run().err


@pytest.mark.parametrize("preset", ["runs/preset", "lo_sam"])
def test_presets_are_named_by_teacher_and_meta_seed(error, preset, tmp_path):
    line = error(f"--presets=x/lo_sam-0,{preset}", f"--output={tmp_path}")
    told = f"must be named as lo_sam-0 is. Received: --presets=['{preset}']"
    assert told in line and not list(tmp_path.iterdir())


def test_meta_seeds_of_a_teacher_are_together(program, tmp_path):
    for name in ("lo_sam-0", "lo_sam-1", "lo_l2-0"):
        pd.DataFrame({"preset": [name]}).to_csv(tmp_path / f"{name}.csv", index=False)
    found = {k: list(v["preset"]) for k, v in program.by_teacher(tmp_path).items()}
    assert found == {"lo_l2": ["lo_l2-0"], "lo_sam": ["lo_sam-0", "lo_sam-1"]}


def test_tasks_of_the_grid_are_checked(run):
    assert "--tasks must be of small/mnist/mlp" in run("--tasks=mnist/mlp").err


@pytest.fixture(name="preset")
def _preset(tmp_path):
    """A preset whose weights are so large that its dial shows."""
    rule = lrlearn.rules.ScheduledMLP(default_rho=0.05)
    rng, theta = np.random.default_rng(0), rule.init_theta(0)
    for name in theta:
        if "head/" in name:
            theta[name] = rng.normal(0, 0.3, theta[name].shape).astype("float32")
    lrlearn.optimizers.presets.save_preset(tmp_path / "lo_mine-3", rule, theta)
    return tmp_path / "lo_mine-3"


@pytest.mark.slow
def test_runs_are_those_of_the_collection(run, preset, tmp_path):
    flags = "--collection=digits", "--tasks=", "--settings=0,0.2", "--steps=3,6"
    arguments = f"--presets={preset}", *flags, "--seeds=2", f"--output={tmp_path}/out"
    outcome = run(*arguments)
    assert outcome.code == 0
    assert (
        "lo_mine, tasks of meta-training\n" in outcome.out
        and "from epochs" in outcome.out
    )
    provenance = json.loads((tmp_path / "out" / "lo_mine-3.json").read_text())
    assert provenance["commit"] and "--collection=digits" in provenance["command"]
    rows = pd.read_csv(tmp_path / "out" / "lo_mine-3.csv")
    tasks = lrlearn.tasks.load_collection("digits")
    expected = itertools.product([t.name for t in tasks], (3, 6), (0.0, 0.2), (0, 1))
    cells = rows[["task", "steps", "rho", "seed"]].itertuples(index=False)
    assert [tuple(cell) for cell in cells] == list(expected)
    some = rows[(rows["steps"] == 6) & (rows["seed"] == 1)]
    for row in some[some["task"] == tasks[1].name].to_dict("records"):
        check(row, preset, tasks[1])
    before = (tmp_path / "out" / "lo_mine-3.csv").stat().st_mtime_ns
    again = run(*arguments)
    assert again.out.endswith(outcome.out)
    assert (tmp_path / "out" / "lo_mine-3.csv").stat().st_mtime_ns == before


def check(row, preset, task):
    """Checks a run of seed 1 against one that is made by hand."""
    epochs = 6 * task.batch_size / len(task.train[0])
    told = {"total_steps": 6, "epochs": epochs, "rho": row["rho"]}
    optimizer = lrlearn.LearnedOptimizer.from_preset(preset, guard=False, **told)
    training = Training(task, optimizer)
    training.start([1])
    training.train(6)
    (end,) = training.evaluate()
    assert row["epochs"] == pytest.approx(epochs)
    assert row["train_loss"] == pytest.approx(end["train_loss"], 2e-4)
