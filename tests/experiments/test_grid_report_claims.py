"""Effects and verdicts follow from rows whose effects are known."""

import math

import numpy as np
import pytest

from lrlearn.evaluation.bootstrap import Interval
from lrlearn.experiments.grid_report.claims import Claim, Judge, Part, best_baselines
from lrlearn.experiments.grid_report.effects import (
    Accuracy,
    Effect,
    Flatness,
    Matched,
    effect,
)
from lrlearn.experiments.grid_report.frames import frames
from tests.experiments.grid_rows import GAIN, make_rows

# SAM, GSAM and GAM together.
GAINED = 100 * np.mean([GAIN[teacher] for teacher in ("SAM", "GSAM", "GAM")])


def judge(rows):
    found = frames(rows)
    tasks = {r: list(part["task"].unique()) for r, part in found.runs.groupby("regime")}
    return Judge(found.runs, Accuracy(found.runs), Matched(found.sharpness), tasks)


def judged(rows, regime="small", rule="LSTM"):
    judges = judge(rows)
    claims = judges.claims(regime, rule) + judges.controls(regime, rule)
    return {claim.name: claim for claim in claims}


@pytest.fixture(scope="module")
def rows():
    return make_rows(datasets=("mnist", "cifar10"), rules=("LSTM",), noise=0.0)


@pytest.fixture(scope="module")
def claims(rows):
    return judged(rows)


@pytest.mark.parametrize(
    "name, gain",
    [
        ("1. generalization", GAINED),
        ("1. with SAM only", 2.0),
        ("1. with GSAM only", 1.0),
        ("1. with GAM only", 3.0),
        ("4. transfer", GAINED),
        ("minus LO L2", GAINED),
        ("minus LO held-out", GAINED),
        # SGD-M is the best, by 1 point.
        ("minus the best tuned baseline", GAINED - 1.0),
        ("minus explicit SAM", GAINED),
    ],
)
def test_gains_are_those_of_the_rows(claims, name, gain):
    (part,) = claims[name].parts
    assert part.effect.interval == pytest.approx([gain] * 3, abs=1e-9)
    assert claims[name].verdict == ("holds" if gain > 0 else "undecided")


@pytest.mark.parametrize(
    "name, balls", [("2. flatness", 2), ("3. stability, all tasks", 1)]
)
def test_flatness_is_that_at_matched_loss(claims, name, balls):
    parts = claims[name].parts
    assert len(parts) == balls
    for part in parts:
        # At equal loss, increases are half as large.
        assert part.effect.interval == pytest.approx([math.log(0.5)] * 3, abs=0.02)
        assert part.effect.unmatched == 0 and part.verdict == "holds"


def test_the_tasks_of_each_claim(claims):
    tasks = {name: claim.parts[0].effect.tasks for name, claim in claims.items()}
    assert tasks["1. generalization"] == 6
    assert tasks["3. stability, MLP-ReLU"] == 2
    assert tasks["4. transfer"] == 4  # mnist/mlp and mnist/mlp_relu are meta-trained


def test_transfer_is_all_tasks_in_the_other_regime(rows):
    assert judged(rows, "full")["4. transfer"].parts[0].effect.tasks == 6


def test_pairs_are_counted(claims):
    effect = claims["1. generalization"].parts[0].effect
    # 6 tasks, 3 teachers, 2 meta-seeds, 2 seeds
    assert effect.pairs == 6 * 3 * 2 * 2
    assert (effect.meta_seeds, effect.seeds) == (2, 2)
    steady = claims["3. stability, MLP-ReLU"].parts[0].effect
    assert steady.pairs == 2 * 3 * 3 * 2 * 2


def test_few_seeds_are_provisional(rows):
    assert all(claim.provisional for claim in judged(rows).values())
    options = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("full",)}
    options |= {"rules": ("LSTM",), "records": 4}
    enough = judged(make_rows(meta_seeds=5, seeds=5, **options), "full")
    assert not any(claim.provisional for claim in enough.values())
    fewer = judged(make_rows(meta_seeds=4, seeds=5, **options), "full")
    assert fewer["1. generalization"].provisional


def test_runs_are_paired_by_seed():
    options = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("full",)}
    rows = make_rows(meta_seeds=1, seeds=3, noise=0.0, **options)
    for row in rows:
        if row["kind"] == "run":  # far apart, but the same for all of a seed
            row["records"][-1]["test_accuracy"] += 10 * row["cell"]["seed"]
    (part,) = judged(rows, "full")["1. generalization"].parts
    assert part.effect.interval == pytest.approx([GAINED] * 3, abs=1e-9)


def test_tasks_that_lack_an_optimizer_are_left_out(rows):
    lacking = [
        row
        for row in rows
        if row["kind"] != "run"
        or (row["cell"]["optimizer"], row["cell"]["network"]) != ("LSTM GAM", "mlp")
    ]
    claims = judged(lacking)
    (part,) = claims["1. generalization"].parts
    assert (part.effect.tasks, part.effect.all_tasks) == (4, 6)
    assert part.effect.interval.mean == pytest.approx(GAINED)
    assert claims["1. with SAM only"].parts[0].effect.tasks == 6


def test_what_was_not_measured_has_no_verdict():
    rows = make_rows(datasets=("mnist",), networks=("mlp",), teachers=("SAM",))
    claim = judged(rows)["1. generalization"]
    assert claim.parts[0].effect is None and claim.verdict == "not measured"
    assert not claim.provisional


def test_unmatched_pairs_are_counted_and_left_out():
    rows = make_rows(
        datasets=("mnist",), networks=("mlp",), regimes=("full",), noise=0.0
    )
    for row in rows:
        cell = row["cell"]
        if row["kind"] == "run" and cell["optimizer"] == "LSTM SAM" and cell["seed"]:
            for record in row["records"]:
                for ball in record.get("sharpness", ()):
                    ball["clean_loss"] = math.nan
    found = frames(rows)
    measure = Flatness(Matched(found.sharpness), "fixed", 0.05)
    result = effect(measure, "full", ["LSTM SAM"], {"mnist/mlp": ["LSTM none"]})
    assert (result.pairs, result.unmatched) == (2, 2)


def test_the_best_baseline_is_that_of_best_validation_accuracy(rows):
    changed = make_rows(datasets=("mnist",), noise=0.0)
    for row in changed:
        if row["kind"] == "run" and row["cell"]["optimizer"] == "RMSprop":
            row["records"][-1]["validation_accuracy"] = 0.95
        if row["kind"] == "run" and row["cell"]["optimizer"] == "SAM":
            row["records"][-1]["validation_accuracy"] = 0.99
    assert set(best_baselines(frames(rows).runs).values()) == {"SGD-M"}
    assert set(best_baselines(frames(changed).runs).values()) == {"RMSprop"}


@pytest.mark.parametrize(
    "verdicts, expected",
    [
        (("holds", "holds"), "holds"),
        (("holds", "undecided"), "undecided"),
        (("undecided", "does not hold"), "does not hold"),
        (("holds", "not measured"), "not measured"),
    ],
)
def test_all_parts_must_hold(verdicts, expected):
    ends = {"holds": (-3, -1), "undecided": (-1, 1), "does not hold": (1, 3)}
    parts = [
        Part("", _effect(*ends[v]) if v in ends else None, "ratio") for v in verdicts
    ]
    assert [part.verdict for part in parts] == list(verdicts)
    assert Claim("", "full", "LSTM", tuple(parts)).verdict == expected


def _effect(low, high):
    return Effect(Interval((low + high) / 2, low, high), 1, 1, 5, 5, 25)


def test_optimizers_are_averaged_at_meta_seeds_that_all_have():
    """A shard that was cut off lacks one optimizer's second meta-seed."""
    rows = [
        row
        for row in make_rows(meta_seeds=2, seeds=5)
        if (row["cell"]["optimizer"], row["cell"].get("meta_seed")) != ("LSTM SAM", 1)
    ]
    claims = judged(rows)
    whole, cut = claims["1. with GSAM only"], claims["1. generalization"]
    assert [claim.parts[0].effect.meta_seeds for claim in (whole, cut)] == [2, 1]


def test_the_best_baseline_is_that_of_all():
    rows = make_rows(meta_seeds=1, seeds=2)
    first = next(row["cell"] for row in rows if row["kind"] == "run")
    place = [first[name] for name in ("dataset", "network", "regime")]

    def kept(row):
        cell = row["cell"]
        here = [cell.get(name) for name in ("dataset", "network", "regime")] == place
        return not (here and cell["optimizer"] == "RMSprop")

    found = best_baselines(frames([row for row in rows if kept(row)]).runs)
    task = f"{place[0]}/{place[1]}"
    assert (task, place[2]) not in found and found
