"""Every number of the tables is that of its regime, task, optimizer and reference."""

import itertools

import numpy as np
import pandas as pd
import pytest

from paper.report.content import content
from paper.report.document import Table
from paper.report.regime import Regime
from paper.report.tables import target_times
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
AHEAD = "Points of test accuracy above {}, with 95 % bootstrap intervals"
MATCHED = "Increase at matched training loss, {}, ratio to {}"
TIMES = "Steps", "Gradient evaluations", "CPU seconds of training"
SHOWN = [("fixed", 0.05), ("relative", 0.02), ("adaptive", 0.1)]


def tables_of(blocks):
    """Tables by the text above them."""
    return {
        text.text.strip("*"): table.frame.set_index(table.frame.columns[0])
        for text, table in itertools.pairwise(blocks)
        if isinstance(table, Table)
    }


def shown(regime):
    """The tasks as they are shown; rules are meta-trained on the first one."""
    dagger = "†" if regime == "small" else ""
    return [f"MNIST MLP-ReLU{dagger}", "CIFAR-10 (JPEG copy) MLP-ReLU"]


def number(cell):
    return float(cell.split()[0].strip("*"))


def check(table, expected, **tolerance):
    """Checks the numbers that cells begin with; expected are lists by optimizer."""
    found = {name: [number(cell) for cell in row] for name, *row in table.itertuples()}
    assert found == {o: pytest.approx(row, **tolerance) for o, row in expected.items()}


def reference(name, optimizer, task, regime):
    return {
        "LO none": f"{optimizer.split()[0]} none",
        "the best tuned baseline": best_baseline(task, regime),
        "explicit SAM": "SAM",
        "tuned Adam": "Adam",
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
def found():
    return content(make_rows(("mnist", "cifar10"), ("mlp_relu",), noise=0.0))


@pytest.fixture(scope="module", params=["small", "full"])
def regime(request):
    return request.param


@pytest.fixture(scope="module")
def blocks(found, regime):
    return Regime(found, regime).section()


@pytest.fixture(scope="module")
def tables(blocks):
    return tables_of(blocks)


def test_accuracies(tables, regime):
    table = tables["Test accuracy at the end, %"]
    assert list(table.columns) == shown(regime)
    # 80 % without any gain; a seed has a point less than the one before.
    expected = {o: [79.5 + gain(o, t, regime) for t in TASKS] for o in OPTIMIZERS}
    check(table, expected, abs=0.051)
    for column, task in zip(table, TASKS, strict=True):
        best = max(OPTIMIZERS, key=lambda optimizer: gain(optimizer, task, regime))
        bold = [o for o, cell in table[column].items() if cell.startswith("**")]
        assert bold == [best]


@pytest.mark.parametrize(
    "name, rows",
    [
        ("LO none", TAUGHT),
        ("the best tuned baseline", [*EXPLICIT, *LEARNED]),
        ("explicit SAM", LEARNED),
    ],
)
def test_gains(tables, regime, name, rows):
    check(tables[AHEAD.format(name)], ahead(gain, rows, name, regime), abs=0.051)


def test_the_best_baselines_are_named(blocks, regime):
    (text,) = (b.text for b in blocks if "Best tuned" in getattr(b, "text", ""))
    (first, second), best = shown(regime), [best_baseline(t, regime) for t in TASKS]
    assert best[0] != best[1]
    about = "Best tuned baseline, by validation accuracy at the end"
    assert text == f"{about}: {first} {best[0]}; {second} {best[1]}."


@pytest.mark.parametrize("name, rows", [("LO none", TAUGHT), ("tuned Adam", NOT_ADAM)])
@pytest.mark.parametrize("ball, radius", SHOWN)
def test_ratios_at_matched_loss(tables, regime, ball, radius, name, rows):
    logs = ahead(log_increase, rows, name, regime, ball, radius)
    table = tables[MATCHED.format(f"{ball} radius {radius:g}", name)]
    check(table, {o: np.exp(row) for o, row in logs.items()}, abs=0.0051)
    # 2 meta-seeds and 2 seeds; 2 tasks
    *each, whole = table.loc["LSTM SAM"]
    assert all(cell.endswith("] (4/4)") for cell in each)
    assert whole.endswith("] (8/8)")


def test_all_balls(tables, regime):
    table = tables[MATCHED.format("all tasks", "LO none")]
    assert list(table.columns) == ["{} {}".format(*ball) for ball in BALLS]
    for column, ball in zip(table, BALLS, strict=True):
        logs = ahead(log_increase, TAUGHT, "LO none", regime, *ball)
        expected = {o: np.exp(row[-1:]) for o, row in logs.items()}
        check(table[[column]], expected, abs=0.0051)


@pytest.mark.parametrize("ball, radius", SHOWN)
def test_raw_values_are_those_at_the_end(tables, regime, ball, radius):
    def increase(optimizer, task, seed):
        loss = 0.9 * train_loss(optimizer, task, regime, seed)
        factor = np.exp(log_increase(optimizer, task, regime, ball, radius))
        return factor * radius * loss**0.5

    name = f"Increase at the end, {ball} radius {radius:g}"
    check(tables[name], seed_means(increase), rel=0.0051)


def test_other_values_at_the_end(tables, regime):
    def loss(optimizer, task, seed):
        return train_loss(optimizer, task, regime, seed)

    check(tables["Training loss at the end"], seed_means(loss), rel=0.0051)
    for name, value in (
        ("Norm of the parameters", 20.0),
        ("Top eigenvalue of the Hessian", 5.0),
    ):
        check(tables[name], dict.fromkeys(OPTIMIZERS, [value, value]))


def seed_means(measure):
    return {
        o: [np.mean([measure(o, task, seed) for seed in (0, 1)]) for task in TASKS]
        for o in OPTIMIZERS
    }


def test_times_to_a_target(tables, regime):
    places = zip(shown(regime), TASKS, strict=True)
    for (column, task), o in itertools.product(places, OPTIMIZERS):
        step, part = time_to_target(o, task, regime)
        gradients = step * (2 if o in EXPLICIT else 1)
        runs = 4 if o in LEARNED else 2
        times = step, gradients, step * 0.01 * share(task, regime)
        for title, time in zip(TIMES, times, strict=True):
            cell = tables[title].loc[o, column]
            found = number(cell.replace("never", "inf"))
            assert found == pytest.approx(time, rel=0.0051)
            assert cell.endswith(f" ({part * runs:.0f}/{runs})")


def test_targets_are_told(blocks, regime):
    (text,) = (b.text for b in blocks if "Targets: " in getattr(b, "text", ""))
    assert "CPU seconds are shares" in text
    places = zip(shown(regime), TASKS, strict=True)
    expected = {f"{name} {target(task, regime):.3g}" for name, task in places}
    assert set(text.split("Targets: ")[1].removesuffix(".").split("; ")) == expected


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
    (table,) = (table for text, table in tables.items() if "IQM, the" in text)
    return table[[column]].dropna()


def test_means_over_tasks(tables, regime):
    means = ahead(gain, NOT_ADAM, "tuned Adam", regime)
    check(
        all_together(tables, "mean"), {o: r[-1:] for o, r in means.items()}, abs=0.051
    )


def test_interquartile_means(tables, regime):
    table = all_together(tables, "IQM")
    # Runs lie symmetrically about their mean: it is the interquartile one, too.
    means = ahead(gain, OPTIMIZERS, "tuned Adam", regime)
    check(table, {o: row[-1:] for o, row in means.items()}, abs=0.051)


@pytest.mark.parametrize("name, rows", [("LO none", TAUGHT), ("tuned Adam", NOT_ADAM)])
def test_probabilities_of_improvement(tables, regime, name, rows):
    def scores(optimizer):
        points = [gain(optimizer, task, regime) for task in TASKS]
        return np.subtract.outer(points, [0, 1])  # a seed costs a point

    def above(optimizer):
        other = scores(reference(name, optimizer, TASKS[0], regime))
        return np.mean(scores(optimizer)[:, :, None] > other[:, None, :])

    expected = {optimizer: [above(optimizer)] for optimizer in rows}
    check(all_together(tables, f"P(above {name})"), expected, abs=0.0051)


@pytest.mark.parametrize(
    "reached, expected",
    [
        ([10, 20], "15 (2/2)"),
        ([10, 20, 60, 90], "40 (4/4)"),
        ([10, 20, 60], "20 (3/3)"),
        ([10, 20, np.inf, np.inf], "never (2/4)"),
        ([np.inf, np.inf], "never (0/2)"),
    ],
    ids=str,
)
def test_times_are_medians(reached, expected):
    """Each run has two records; the loss is at the target in the second, if ever."""
    names = {"dataset": "mnist", "network": "mlp", "task": "mnist/mlp"}
    names |= {"regime": "small", "optimizer": "Adam", "meta_seed": np.nan}
    frame = pd.DataFrame(
        {**names, "key": str(seed), "seed": seed, "step": at, "validation_loss": loss}
        for seed, step in enumerate(reached)
        for at, loss in ((0, 2.0), (min(step, 100), 1.0 if step < 100 else 1.5))
    ).assign(gradients=0, training_cpu_seconds=0.0)
    index = pd.MultiIndex.from_tuples(
        [("mnist/mlp", "small")], names=["task", "regime"]
    )
    table = target_times(frame, pd.Series([1.0], index), "step")
    assert table["mnist/mlp"].tolist() == [expected]
