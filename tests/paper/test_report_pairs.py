"""Pairs at matched loss against closed forms and a plain search; times to targets."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from paper.report.frames import frames
from paper.report.pairs import matched_points, matched_ratios
from paper.report.study import Study
from paper.report.tables import time_to_target
from tests.paper.grid_rows import log_increase, make_rows

INF, NAN = math.inf, math.nan


def run(optimizer, losses, increases, seed=0, meta_seed=NAN, task="mnist/mlp", **ball):
    """The sharpness of a run in one ball, a record every ten steps."""
    dataset, network = task.split("/")
    names = {"dataset": dataset, "network": network, "task": task, "regime": "small"}
    ball = {"ball": "fixed", "radius": 0.1, **ball}
    steps = 10 * np.arange(len(losses))
    return pd.DataFrame(
        {
            "key": f"{optimizer}-{task}-{meta_seed}-{seed}",
            **names,
            "optimizer": optimizer,
            "meta_seed": meta_seed,
            "seed": seed,
            "step": steps,
            **ball,
            "clean_loss": losses,
            "increase": increases,
        }
    )


def pairs_of(*runs):
    return matched_ratios(pd.concat(runs, ignore_index=True), "x", "y")


def ratio(losses_x, increases_x, losses_y, increases_y):
    """The ratio of increases, and the matched loss, of a single pair."""
    x, y = run("x", losses_x, increases_x), run("y", losses_y, increases_y)
    (pair,) = pairs_of(x, y).itertuples()
    return math.exp(pair.difference), pair.matched_loss


def plain(losses, increases, loss):
    """The log increase of a run at a loss, as the protocol says it."""
    records = list(zip(losses, increases, strict=True))
    for bracket in itertools.pairwise(records):
        (low, f_low), (high, f_high) = np.log(sorted(bracket))
        if low <= math.log(loss) <= high:
            return np.interp(math.log(loss), [low, high], [f_low, f_high])
    closest, increase = min(records, key=lambda record: abs(record[0] - loss))
    return math.log(increase) if abs(closest - loss) <= 0.1 * loss else None


def test_a_power_law_is_interpolated_exactly():
    x, y = np.array([2.0, 0.7, 0.3]), np.array([2.2, 1.0, 0.4, 0.1])
    found, loss = ratio(x, 5 * x**1.5, y, 3 * y**0.5)
    assert loss == 0.3
    assert found == pytest.approx(5 * 0.3**1.5 / (3 * 0.3**0.5))


def test_many_pairs_agree_with_a_plain_search():
    rng = np.random.default_rng(0)
    runs, expected = [], {}
    for seed in range(200):
        curves = [
            # Some start low, some rise again, some have a single record.
            rng.choice([2.0, 0.5]) * np.exp(np.cumsum(rng.normal(-0.4, 0.5, n)))
            for n in rng.integers(1, 6, size=2)
        ]
        rises = [rng.uniform(0.1, 2.0, len(curve)) for curve in curves]
        runs += [run(o, *s, seed) for o, *s in zip("xy", curves, rises, strict=True)]
        loss = max(min(curve) for curve in curves)
        x, y = (plain(*side, loss) for side in zip(curves, rises, strict=True))
        expected[seed] = NAN if None in (x, y) else x - y
    found = pairs_of(*runs).set_index("seed")["difference"]
    np.testing.assert_allclose(found.loc[list(expected)], list(expected.values()))
    assert 20 < found.isna().sum() < 180


def test_the_first_crossing_counts():
    # 1.0 is crossed on the way down, at 10, and again on the way up.
    found, loss = ratio([2.0, 1.0, 0.5, 1.5], [7.0, 10.0, 1.0, 1.0], [1.0], [2.0])
    assert (found, loss) == (pytest.approx(5.0), 1.0)


@pytest.mark.parametrize(
    ("other", "expected"), [(1.11, 8.0), (1.12, NAN), (0.9, 4.0), (0.89, NAN)]
)
def test_without_a_bracket_a_record_within_a_tenth_stands_in(other, expected):
    # A tenth of the matched loss, which is the larger of 0.99 and the other's.
    found, loss = ratio([1.0, 0.99], [8.0, 4.0], [other], [1.0])
    assert found == pytest.approx(expected, nan_ok=True)
    assert loss == max(0.99, other)


def test_equal_losses_in_a_row():
    assert ratio([1.0, 1.0], [3.0, 9.0], [1.0], [1.0]) == (pytest.approx(3.0), 1.0)


def test_a_failure_is_the_worst_there_is():
    assert ratio([1.0], [INF], [1.0], [2.0])[0] == pytest.approx(1e3)
    assert ratio([1.0], [NAN], [1.0], [2.0])[0] == pytest.approx(1e3)
    assert ratio([1.0], [2.0], [1.0], [INF])[0] == pytest.approx(1e-3)
    assert ratio([1.0], [INF], [1.0], [NAN])[0] == pytest.approx(1.0)


@pytest.mark.parametrize("lost", [INF, NAN])
def test_a_run_that_diverged_is_the_worst_there_is(lost):
    """Whatever it was before, and whether or not the other one has matched it."""
    one = [2.0, 1.0, lost], [8.0, 8.0, NAN]
    other = [2.0, 1.0, 0.5], [1.0, 1.0, 1.0]
    assert ratio(*one, *other)[0] == pytest.approx(1e3)
    assert ratio(*other, *one)[0] == pytest.approx(1e-3)
    assert ratio(*one, *one)[0] == pytest.approx(1.0)
    assert ratio([0.5, lost], [1.0, 1.0], [1.0], [1.0])[0] == pytest.approx(1e3)


def test_without_a_finite_loss_nothing_matches():
    found, loss = ratio([NAN, NAN], [1.0, 1.0], [1.0, 0.5], [1.0, 1.0])
    assert found == pytest.approx(1e3) and loss == INF


def test_two_learned_optimizers_are_paired_by_meta_seed():
    runs = [
        run(o, [1.0], [rise * (1 + meta_seed)], seed, meta_seed)
        for o, rise in (("x", 6.0), ("y", 2.0))
        for meta_seed in range(2)
        for seed in range(3)
    ]
    pairs = pairs_of(*runs)
    cells = set(zip(pairs["meta_seed"], pairs["seed"], strict=True))
    assert len(pairs) == len(cells) == 6
    np.testing.assert_allclose(pairs["difference"], math.log(3))


@pytest.mark.parametrize("learned", ["x", "y"])
def test_a_learned_one_meets_a_hand_designed_one_at_every_meta_seed(learned):
    runs = [
        run(o, [1.0], [1.0 + (seed if o == "y" else 0)], seed, meta_seed)
        for o in "xy"
        for meta_seed in (range(2) if o == learned else [NAN])
        for seed in range(3)
    ]
    pairs = pairs_of(*runs).sort_values(["meta_seed", "seed"])
    assert pairs["meta_seed"].tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(pairs["difference"], -np.log([1, 2, 3, 1, 2, 3]))


def test_only_runs_of_the_same_cell_are_paired():
    runs = [
        run("x", [1.0], [1.0]),
        run("y", [1.0], [1.0], seed=1),
        run("y", [1.0], [1.0], task="mnist/cnn"),
        run("y", [1.0], [1.0]).assign(regime="full", key="full"),
    ]
    assert pairs_of(*runs).empty
    assert len(pairs_of(*runs, run("y", [1.0], [1.0]))) == 1


def sharpness():
    found = frames(make_rows(["mnist"], ["mlp"], ["small"])).sharpness
    return found[(found["ball"] == "fixed") & (found["radius"] == 0.05)]


def test_order_of_rows_and_other_optimizers_do_not_matter():
    shuffled = sharpness().sample(frac=1, random_state=np.random.default_rng(1))
    found, again = (
        matched_ratios(s, "LSTM SAM", "LSTM none").sort_values(
            ["seed", "meta_seed"], ignore_index=True
        )
        for s in (sharpness(), shuffled)
    )
    pd.testing.assert_frame_equal(found, again)
    place = "mnist/mlp", "small", "fixed", 0.05
    own, other = (log_increase(f"LSTM {o}", *place) for o in ("SAM", "none"))
    # Up to the made-up noise.
    np.testing.assert_allclose(found["difference"], [own - other] * 4, atol=0.01)


def test_accuracies_are_matched_by_training_loss():
    names = {"dataset": "mnist", "network": "mlp", "task": "mnist/mlp", "seed": 0}
    names |= {"regime": "small", "meta_seed": NAN}
    curves = {"x": ([4.0, 1.0, 0.25], [0.1, 0.5, 0.7]), "y": ([4.0, 0.5], [0.1, 0.9])}
    frame = pd.concat(
        pd.DataFrame(
            {"key": o, "optimizer": o, "step": range(len(losses)), **names}
            | {"train_loss": losses, "test_accuracy": accuracies}
        )
        for o, (losses, accuracies) in curves.items()
    )
    (pair,) = matched_points(frame, "x", "y").itertuples()
    # x is at 0.5 halfway, on a logarithmic scale, between its last two records.
    assert (pair.matched_loss, pair.bracketed) == (0.5, True)
    assert pair.difference == pytest.approx(60 - 90)


def test_nothing_to_pair():
    some, none = (matched_ratios(sharpness(), "Adam", o) for o in ("SGD-M", "absent"))
    assert len(some) == 2 and none.empty
    assert list(none.columns) == list(some.columns)


def records(optimizer, losses, seed=0, regime="small", **names):
    n = len(losses)
    return pd.DataFrame(
        {
            "key": f"{optimizer}-{seed}-{regime}",
            **{"dataset": "mnist", "network": "mlp", "task": "mnist/mlp"},
            **{"regime": regime, "optimizer": optimizer, "meta_seed": NAN},
            **{"seed": seed, "step": 10 * np.arange(n), "gradients": 20 * np.arange(n)},
            "training_cpu_seconds": 0.5 * np.arange(n),
            "validation_loss": losses,
            **names,
        }
    )


def test_target_is_the_median_of_the_smallest_losses():
    rows = make_rows(["mnist"], ["mlp"], ["small"], rules=(), explicit=(), seeds=3)
    runs = [row for row in rows if row["kind"] == "run"]
    smallest = iter([1.0, 1.5, NAN])  # of Adam; one diverged: the worst, not left out
    for run_ in runs:
        loss = next(smallest) if run_["cell"]["optimizer"] == "Adam" else 0.1
        for record in run_["records"]:
            record["validation_loss"] = loss
        run_["records"][0]["validation_loss"] = 9.0 if loss == loss else NAN
    target = Study(runs).target
    assert (
        target["mnist/mlp", "small"] == pytest.approx(1.5 * 1.05) and len(target) == 1
    )


def test_time_is_that_of_the_first_record_at_the_target():
    frame = pd.concat(
        [
            records("x", [3.0, NAN, 1.5, 1.7, 0.5], 0),
            records("x", [3.0, 2.0], 1),
            records("y", [1.0], 0),
            records("y", [1.0], 0, "full"),  # of which no target is known
        ]
    ).iloc[::-1]
    names = ["task", "regime"]
    index = pd.MultiIndex.from_tuples([("mnist/mlp", "small")], names=names)
    times = time_to_target(frame, pd.Series([1.5], index))
    times = times.set_index("key")
    assert len(times) == 3
    columns = ["step", "gradients", "training_cpu_seconds"]
    assert times.loc["x-0-small", columns].tolist() == [20, 40, 1.0]
    assert times.loc["x-1-small", columns].tolist() == [INF] * 3
    assert times.loc["y-0-small", columns].tolist() == [0, 0, 0]
