"""Runs keep to their schedule, and are told their dial, their rate and their length."""

import dataclasses

import keras
import numpy as np
import pytest
from keras.optimizers.schedules import PolynomialDecay

import lrlearn
from lrlearn.evaluation import Training
from paper.grid import cells, execution, optimizers, runner
from paper.grid.cells import Jobs
from paper.grid.grid import TaskName
from paper.grid.meta_training import load_task, pack, rule_in_use
from paper.grid.optimizers import LEARNED, Learned
from tests.paper.small_grid import SMALL

pytestmark = pytest.mark.long

TASK, STEPS, SEEDS = TaskName("digits", "mlp", "small"), 16, (0, 1)
GRID = dataclasses.replace(SMALL, networks=("mlp",), horizons=(("*", (STEPS,)),))
JOBS = Jobs(GRID, runner.data_of)
TUNING_SEED, TOLERANCE = 1000, 2e-4


def _theta():
    """Weights so large that all that the rule is told shows."""
    rng = np.random.default_rng(0)
    theta = rule_in_use(LEARNED["MLP SAM"]).init_theta(0)
    heads = {n: rng.normal(0, 0.3, w.shape) for n, w in theta.items() if "head/" in n}
    return {n: heads.get(n, w).astype("float32") for n, w in theta.items()}


THETA = _theta()


@pytest.fixture(scope="module")
def rows():
    """What the jobs need, by key."""
    return {JOBS.meta("MLP SAM", 0).keys[0]: {"theta": pack(THETA)}}


@pytest.fixture(scope="module")
def execute(rows):
    return execution.Executor(GRID, rows)


@pytest.fixture(scope="module")
def task():
    return load_task(TASK)


@pytest.fixture(scope="module")
def by_hand(task):
    """A function of an optimizer that returns the ends of its runs, one a seed."""

    def by_hand(optimizer, seeds=SEEDS, regularizer=None):
        training, ends = Training(task, optimizer, regularizer), []
        for seed in seeds:
            training.start([seed])
            training.train(STEPS)
            ends += training.evaluate()
        return ends

    return by_hand


@pytest.fixture(scope="module")
def learned(task):
    """A function that makes a learned optimizer, told what a user would tell it."""
    epochs = STEPS * task.batch_size / len(task.train[0])
    length = {"total_steps": STEPS, "epochs": epochs}

    def learned(theta=THETA, rule=None, **told):
        rule = rule or rule_in_use(LEARNED["MLP SAM"])
        return lrlearn.LearnedOptimizer(rule, theta, **{**length, **told})

    return learned


def check(found, ends):
    """Checks the ends of runs of all seeds."""
    for row, expected in zip(found, ends, strict=True):
        for name in ("train_loss", "validation_loss", "test_loss"):
            assert row["records"][-1][name] == pytest.approx(expected[name], TOLERANCE)


@pytest.mark.parametrize("rho", [None, 0.0, 0.1])
def test_a_run_has_its_setting_of_the_dial(execute, by_hand, learned, rho):
    name = "MLP SAM" if rho is None else f"MLP SAM {rho:g}"
    found = execute(JOBS.run(name, TASK, STEPS, 0))
    check(found, by_hand(learned(rho=rho)))
    assert found[0]["hyperparameters"] == ({} if rho is None else {"rho": rho})


@pytest.mark.parametrize(
    "told, other",
    [
        ({"rho": 0.0}, {"rho": 0.1}),
        ({}, {"total_steps": None}),
        ({}, {"learning_rate": 2.0}),
    ],
    ids=str,
)
def test_what_is_told_matters(by_hand, learned, told, other):
    """So that the other tests would fail if it were not told."""
    ends = [by_hand(learned(**each), [0])[0]["train_loss"] for each in (told, other)]
    assert abs(ends[0] / ends[1] - 1) > 10 * TOLERANCE


def test_a_rate_multiplies_the_steps(execute, by_hand, learned, monkeypatch):
    double = Learned("MLP", "SAM", ({"learning_rate": 2.0},))
    for known in (LEARNED, optimizers.OPTIMIZERS):
        monkeypatch.setitem(known, "MLP SAM double", double)
    assert cells.LEARNED is LEARNED and execution.LEARNED is LEARNED
    found = execute(JOBS.run("MLP SAM double", TASK, STEPS, 0))
    check(found, by_hand(learned(learning_rate=2.0)))


def test_a_dial_is_tuned(execute, rows, by_hand, learned):
    job = JOBS.run("MLP SAM tuned", TASK, STEPS, 0)
    tuning = job.needs["tuning"]
    (row,) = execute(tuning)
    assert [t["rho"] for t in row["trials"]] == [
        trial["rho"] for trial in LEARNED["MLP SAM tuned"].trials
    ]
    for trial in (row["trials"][0], row["trials"][-1]):
        (end,) = by_hand(learned(rho=trial["rho"]), [TUNING_SEED])
        assert trial["seed"] == TUNING_SEED
        assert trial["validation_loss"] == pytest.approx(
            end["validation_loss"], TOLERANCE
        )
    best = max(
        row["trials"], key=lambda t: (t["validation_accuracy"], -t["validation_loss"])
    )
    assert row["chosen"] == {"rho": best["rho"]}
    rows[tuning.keys[0]] = row
    check(execute(job), by_hand(learned(**row["chosen"])))


def decayed(optimizer, rate, **fixed):
    return optimizer(PolynomialDecay(rate, STEPS, 0.0), **fixed)


def test_all_rates_decay_on_one_graph(execute, by_hand):
    (row,) = execute(JOBS.tuning("Adam linear", TASK, STEPS))
    for trial in (row["trials"][2], row["trials"][-2]):
        optimizer = decayed(keras.optimizers.Adam, trial["learning_rate"])
        (end,) = by_hand(optimizer, [TUNING_SEED])
        assert trial["validation_loss"] == pytest.approx(
            end["validation_loss"], TOLERANCE
        )


@pytest.mark.parametrize(
    "name, chosen, make, regularizer",
    [
        (
            "AdamW linear",
            {"learning_rate": 0.01, "weight_decay": 1.0},
            lambda: decayed(keras.optimizers.AdamW, 0.01, weight_decay=1.0),
            None,
        ),
        (
            "SAM",
            {"base": "SGD-M linear", "learning_rate": 0.3, "rho": 0.2},
            lambda: decayed(keras.optimizers.SGD, 0.3, momentum=0.9),
            lrlearn.regularizers.SAM(0.2),
        ),
    ],
)
def test_a_rate_decays(execute, rows, by_hand, name, chosen, make, regularizer):
    job = JOBS.run(name, TASK, STEPS)
    rows[job.needs["tuning"].keys[0]] = {"chosen": chosen}
    check(execute(job), by_hand(make(), regularizer=regularizer))


def test_what_is_not_tuned(execute, by_hand, learned):
    rule = lrlearn.rules.ScheduledMLP()
    cases = {
        "untrained": learned(rule.init_theta(0), rule),
        "Adam default": keras.optimizers.Adam(),
    }
    for name, optimizer in cases.items():
        job = JOBS.run(name, TASK, STEPS)
        assert job.needs == {}
        check(execute(job), by_hand(optimizer))
