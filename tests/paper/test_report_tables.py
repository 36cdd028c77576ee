"""Every number of the tables is that of its regime, task, optimizer and reference."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from paper.report import labels
from paper.report.claims import END
from paper.report.study import Study
from paper.report.tables import Tables, budgets, costs
from tests.paper.grid_rows import (
    BALLS,
    BASELINES,
    EXPLICIT,
    RULES,
    TEACHERS,
    best_baseline,
    gain,
    log_increase,
    make_rows,
    share,
    train_loss,
)

TASKS = ["mnist/mlp_relu", "cifar10/mlp_relu"]
LEARNED = [f"{rule} {teacher}" for rule in RULES for teacher in TEACHERS]
TAUGHT = [optimizer for optimizer in LEARNED if not optimizer.endswith(" none")]
OPTIMIZERS = [*BASELINES, *EXPLICIT, *LEARNED]
NOT_ADAM = [optimizer for optimizer in OPTIMIZERS if optimizer != "Adam"]
TIMES = "step", "gradients", "training_cpu_seconds"
SHOWN = [("fixed", 0.05), ("relative", 0.02), ("adaptive", 0.1)]


def shown(regime):
    """The tasks as they are shown; rules are meta-trained on the first one."""
    dagger = "†" if regime == "small" else ""
    return [f"MNIST MLP-ReLU{dagger}", "CIFAR-10 (JPEG copy) MLP-ReLU"]


def number(cell):
    return float(cell.split()[0].strip("*"))


def check(table, expected, **tolerance):
    """Checks the numbers that cells begin with; expected are lists by optimizer."""
    cells = table.set_index("optimizer").itertuples()
    found = {name: [number(cell) for cell in row] for name, *row in cells}
    assert found == {
        labels.OPTIMIZERS[o]: pytest.approx(row, **tolerance)
        for o, row in expected.items()
    }


def reference(name, optimizer, task, regime):
    return {
        "none": f"{optimizer.split()[0]} none",
        "best": best_baseline(task, regime),
        "SAM": "SAM",
        "Adam": "Adam",
    }[name]


def ahead(effect, rows, name, regime, *ball):
    """Effects beyond a reference's on each task, and their mean, by optimizer."""
    found = {}
    for o in rows:
        others = [reference(name, o, task, regime) for task in TASKS]
        row = [
            effect(o, task, regime, *ball) - effect(other, task, regime, *ball)
            for task, other in zip(TASKS, others, strict=True)
        ]
        found[o] = np.array([*row, np.mean(row)])
    return found


@pytest.fixture(scope="module")
def study():
    return Study(make_rows(("mnist", "cifar10"), ("mlp_relu",), noise=0.0))


@pytest.fixture(scope="module", params=["small", "full"])
def regime(request):
    return request.param


@pytest.fixture(scope="module")
def tables(study, regime):
    return Tables(study, regime)


def test_accuracies(tables, regime):
    table = tables.accuracy()
    assert list(table.columns) == ["optimizer", *shown(regime)]
    # 80 % without any gain; a seed has a point less than the one before.
    expected = {o: [79.5 + gain(o, t, regime) for t in TASKS] for o in OPTIMIZERS}
    check(table, expected, abs=0.051)
    for column, task in zip(shown(regime), TASKS, strict=True):
        best = max(OPTIMIZERS, key=lambda optimizer: gain(optimizer, task, regime))
        bold = table[table[column].str.startswith("**")]["optimizer"]
        assert list(bold) == [labels.OPTIMIZERS[best]]


@pytest.mark.parametrize(
    "name, rows",
    [
        ("none", TAUGHT),
        ("best", [*EXPLICIT, *LEARNED]),
        ("SAM", LEARNED),
    ],
)
def test_gains(tables, regime, name, rows):
    found = tables.compared(END, rows, name)
    check(found, ahead(gain, rows, name, regime), abs=0.051)


def test_the_best_baselines_are_named(tables, regime):
    best = [best_baseline(task, regime) for task in TASKS]
    assert best[0] != best[1]
    assert tables.best() == dict(zip(shown(regime), best, strict=True))


@pytest.mark.parametrize("name, rows", [("none", TAUGHT), ("Adam", NOT_ADAM)])
@pytest.mark.parametrize("ball, radius", SHOWN)
def test_ratios_at_matched_loss(tables, regime, ball, radius, name, rows):
    logs = ahead(log_increase, rows, name, regime, ball, radius)
    table = tables.compared((ball, radius), rows, name)
    check(table, {o: np.exp(row) for o, row in logs.items()}, abs=0.0051)
    # 2 meta-seeds and 2 seeds; 2 tasks
    *each, whole = table.set_index("optimizer").loc["LSTM-LO + SAM"]
    assert all(cell.endswith("] (4/4)") for cell in each)
    assert whole.endswith("] (8/8)")


def test_all_balls(tables, regime):
    table = tables.all_balls()
    columns = ["{} {}".format(*ball) for ball in BALLS]
    assert list(table.columns) == ["optimizer", *columns]
    for column, ball in zip(columns, BALLS, strict=True):
        logs = ahead(log_increase, TAUGHT, "none", regime, *ball)
        expected = {o: np.exp(row[-1:]) for o, row in logs.items()}
        check(table[["optimizer", column]], expected, abs=0.0051)


@pytest.mark.parametrize("ball, radius", SHOWN)
def test_raw_values_are_those_at_the_end(tables, regime, ball, radius):
    def increase(optimizer, task, seed):
        loss = 0.9 * train_loss(optimizer, task, regime, seed)
        factor = np.exp(log_increase(optimizer, task, regime, ball, radius))
        return factor * radius * loss**0.5

    check(tables.increase(ball, radius), seed_means(increase), rel=0.0051)


def test_other_values_at_the_end(tables, regime):
    def loss(optimizer, task, seed):
        return train_loss(optimizer, task, regime, seed)

    check(tables.at_end("train_loss"), seed_means(loss), rel=0.0051)
    for name, value in (("parameter_norm", 20.0), ("top_eigenvalue", 5.0)):
        check(tables.at_end(name), dict.fromkeys(OPTIMIZERS, [value, value]))
    runs = 2 * 2 * (9 + 2 * 12)  # tasks, seeds, optimizers and meta-seeds
    assert tables.converged() == (runs, runs)


def seed_means(measure):
    return {
        o: [np.mean([measure(o, task, seed) for seed in (0, 1)]) for task in TASKS]
        for o in OPTIMIZERS
    }


def test_times_to_a_target(tables, regime):
    found = {unit: tables.times(unit).set_index("optimizer") for unit in TIMES}
    places = zip(shown(regime), TASKS, strict=True)
    for (column, task), o in itertools.product(places, OPTIMIZERS):
        step, part = time_to_target(o, task, regime)
        gradients = step * (2 if o in EXPLICIT else 1)
        runs = 4 if o in LEARNED else 2
        times = step, gradients, step * 0.01 * share(task, regime)
        for unit, time in zip(TIMES, times, strict=True):
            cell = found[unit].loc[labels.OPTIMIZERS[o], column]
            value = number(re.sub("never|not by half", "inf", cell))
            assert value == pytest.approx(time, rel=0.0051)
            assert cell.endswith(f" ({part * runs:.0f}/{runs})")


def test_targets(tables, regime):
    places = zip(shown(regime), TASKS, strict=True)
    expected = {name: pytest.approx(target(task, regime)) for name, task in places}
    assert tables.targets() == expected


def along(optimizer, task, regime):
    """Validation losses of both seeds in the records."""
    parts = np.arange(6) / 5
    place = optimizer, task, regime
    return np.array([[1.1 * train_loss(*place, s, p) for p in parts] for s in (0, 1)])


def target(task, regime):
    return 1.05 * np.median(along("Adam", task, regime).min(axis=1))


def time_to_target(optimizer, task, regime):
    """The median of two runs' first steps at the target, and what part reached it."""
    reached = along(optimizer, task, regime) <= target(task, regime)
    steps = np.where(reached.any(axis=1), 20 * reached.argmax(axis=1), np.inf)
    return np.median(steps), reached.any(axis=1).mean()


def all_together(tables, column):
    return tables.aggregates()[["optimizer", column]].dropna()


def test_means_over_tasks(tables, regime):
    means = ahead(gain, NOT_ADAM, "Adam", regime)
    check(
        all_together(tables, "mean"), {o: r[-1:] for o, r in means.items()}, abs=0.051
    )


def test_interquartile_means(tables, regime):
    table = all_together(tables, "IQM")
    # Runs lie symmetrically about their mean: it is the interquartile one, too.
    means = ahead(gain, OPTIMIZERS, "Adam", regime)
    check(table, {o: row[-1:] for o, row in means.items()}, abs=0.051)


@pytest.mark.parametrize("name, rows", [("none", TAUGHT), ("Adam", NOT_ADAM)])
def test_probabilities_of_improvement(tables, regime, name, rows):
    def scores(optimizer):
        points = [gain(optimizer, task, regime) for task in TASKS]
        return np.subtract.outer(points, [0, 1])  # a seed costs a point

    def above(optimizer):
        other = scores(reference(name, optimizer, TASKS[0], regime))
        return np.mean(scores(optimizer)[:, :, None] > other[:, None, :])

    expected = {optimizer: [above(optimizer)] for optimizer in rows}
    column = {"none": "P(above LO without teacher)", "Adam": "P(above tuned Adam)"}
    check(all_together(tables, column[name]), expected, abs=0.0051)


@pytest.mark.parametrize(
    "reached, expected",
    [
        ([10, 20], "15 (2/2)"),
        ([10, 20, 60, 90], "40 (4/4)"),
        ([10, 20, 60], "20 (3/3)"),
        ([10, 20, np.inf, np.inf], "not by half (2/4)"),
        ([np.inf, np.inf], "never (0/2)"),
    ],
    ids=str,
)
def test_times_are_medians(reached, expected):
    """Each run has two records; the loss is at the target in the second, if ever."""
    rows = make_rows(("mnist",), ("mlp",), ("small",), rules=(), explicit=(), seeds=4)
    runs = [row for row in rows if row["kind"] == "run"]
    adam = [row for row in runs if row["cell"]["optimizer"] == "Adam"]
    for row, step in itertools.zip_longest(adam, reached):
        if step is None:
            runs.remove(row)
            continue
        start, *_, end = row["records"]
        start["validation_loss"] = 2.0
        end |= {"step": min(step, 100), "validation_loss": 1.0 if step < 100 else 1.5}
        row["records"] = [start, end]
    study = Study(runs)
    index = pd.MultiIndex.from_tuples(
        [("mnist/mlp", "small")], names=["task", "regime"]
    )
    study.target = pd.Series([1.0], index)
    table = Tables(study, "small").times("step").set_index("optimizer")
    assert table.loc["Adam"].tolist() == [expected]


def test_costs_are_sums():
    rows = make_rows(("mnist",), ("mlp",), ("small",), rules=("LSTM",))
    study = Study(rows)
    table = costs(study.every).set_index("rows")
    runs = sum(row["kind"] == "run" for row in rows)
    tunings = sum(row["kind"] == "tuning" for row in rows)
    total = 2 * runs + 4 * tunings + 50 * (len(rows) - runs - tunings)
    assert table.loc["all"].tolist() == [len(rows), str(total)]
    assert table.loc["tuning"].tolist() == [tunings, str(4 * tunings)]
    budget = budgets(study.every.tuning).set_index("optimizer")
    assert budget.loc["explicit SAM"].tolist() == [1, "2", "4"]
    assert len(budget) == tunings


def test_hyperparameters(tables, regime):
    found = tables.hyperparameters().set_index("optimizer")
    assert list(found.columns) == shown(regime)
    assert set(found.to_numpy().ravel()) == {"lr 0.01"} and len(found) == 9


def test_what_is_tuned_at_each_meta_seed():
    """Two tunings of a learned optimizer; what has one trial was not tuned."""
    axes = {
        "rules": ("MLP",),
        "untuned": ("untrained",),
        "tuned": ("MLP SAM tuned",),
    }
    rows = make_rows(("mnist",), ("mlp",), ("small",), **axes)
    for row in rows:
        if row["kind"] == "run" and row["cell"]["optimizer"] == "MLP SAM tuned":
            row["hyperparameters"] = {"rho": (0.1, 0.05)[row["cell"]["meta_seed"]]}
    study = Study(rows)
    found = Tables(study, "small").hyperparameters().set_index("optimizer")
    assert found.loc["MLP-LO + SAM, tuned dial"].tolist() == ["rho 0.1 / rho 0.05"]
    assert found.loc["Adam"].tolist() == ["lr 0.01"] and len(found) == 10
    budget = budgets(study.every.tuning).set_index("optimizer")
    assert budget.loc["MLP-LO + SAM, tuned dial"].tolist() == [2, "2", "8"]
