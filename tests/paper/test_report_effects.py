"""Which pairs of runs an effect rests on."""

import math

import pytest

from paper.report.claims import END, FIXED_05
from paper.report.effects import effect
from paper.report.frames import frames
from paper.report.study import Study, stopped_early
from tests.paper.grid_rows import gain, log_increase, make_rows, train_loss

ONE = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("full",)}
NONE = {"mnist/mlp": ["LSTM none"]}


def accuracy(rows, optimizers, references=NONE):
    return effect(Study(rows).measure(END), "full", optimizers, references)


def test_runs_are_paired_by_seed():
    rows = make_rows(**ONE, meta_seeds=1, seeds=3, noise=0.0)
    for row in rows:
        if row["kind"] == "run":  # far apart, but the same for all of a seed
            row["end"]["test_accuracy"] += 10 * row["cell"]["seed"]
    own, other = (gain(f"LSTM {t}", "mnist/mlp", "full") for t in ("SAM", "none"))
    found = accuracy(rows, ["LSTM SAM"])
    assert found.interval == pytest.approx([own - other] * 3, abs=1e-9)


@pytest.mark.parametrize("reference", ["LSTM none", "Adam"])
def test_runs_are_paired_by_meta_seed_where_both_have_one(reference):
    rows = make_rows(**ONE, noise=0.0)
    for row in rows:
        if row["kind"] == "run":
            far = 10 * (row["cell"]["meta_seed"] or 0)
            row["end"]["test_accuracy"] += far
    found = accuracy(rows, ["LSTM SAM"], {"mnist/mlp": [reference]})
    difference = gain("LSTM SAM", "mnist/mlp", "full") - gain(
        reference, "mnist/mlp", "full"
    )
    # Of one made by hand, all meta-seeds meet the same runs.
    low, mean, high = (0, 0, 0) if reference == "LSTM none" else (0, 500, 1000)
    expected = [difference + shift for shift in (mean, low, high)]
    assert found.interval == pytest.approx(expected, abs=1e-9)


def test_unmatched_pairs_are_counted_and_left_out():
    rows = make_rows(**ONE, noise=0.0)
    for row in rows:
        cell = row["cell"]
        if row["kind"] == "run" and cell["optimizer"] == "LSTM SAM" and cell["seed"]:
            for record in row["records"]:
                for ball in record.get("sharpness", ()):
                    ball["clean_loss"] = 1e-9
    found = effect(Study(rows).measure(FIXED_05), "full", ["LSTM SAM"], NONE)
    assert (found.pairs, found.left_out) == (2, 2)


def test_pairs_whose_loss_is_not_bracketed_can_be_left_out():
    rows = make_rows(**ONE, noise=0.0)
    for row in rows:
        cell = row["cell"]
        if row["kind"] == "run" and cell["optimizer"] == "LSTM SAM" and cell["seed"]:
            # All of the run is a little below the other one's smallest loss.
            loss = 0.9 * train_loss("LSTM none", "mnist/mlp", "full", 1)
            for record in row["records"]:
                for ball in record.get("sharpness", ()):
                    ball |= {"clean_loss": 0.95 * loss, "increase": 1e-6}
    study = Study(rows)
    everything, bracketed = (
        effect(study.measure(measure), "full", ["LSTM SAM"], NONE)
        for measure in (FIXED_05, (*FIXED_05, "bracketed"))
    )
    assert (everything.pairs, everything.left_out) == (4, 0)
    assert (bracketed.pairs, bracketed.left_out) == (2, 2)
    place = "mnist/mlp", "full", "fixed", 0.05
    own, other = (log_increase(f"LSTM {t}", *place) for t in ("SAM", "none"))
    assert bracketed.interval.mean == pytest.approx(own - other)
    assert everything.interval.mean < bracketed.interval.mean - 1


def test_optimizers_are_averaged_at_meta_seeds_that_all_have():
    """A shard that was cut off lacks one optimizer's second meta-seed."""
    rows = [
        row
        for row in make_rows(**ONE)
        if (row["cell"]["optimizer"], row["cell"].get("meta_seed")) != ("LSTM SAM", 1)
    ]
    whole = accuracy(rows, ["LSTM GSAM"])
    cut = accuracy(rows, ["LSTM SAM", "LSTM GSAM", "LSTM GAM"])
    assert [found.meta_seeds for found in (whole, cut)] == [2, 1]
    # 3 optimizers at 1 meta-seed with 2 seeds; the second has runs of 2 optimizers.
    assert (cut.pairs, cut.left_out) == (6, 4)
    assert (whole.pairs, whole.left_out) == (4, 0)


def test_effects_are_told_for_each_meta_seed():
    rows = make_rows(**ONE, noise=0.0)
    for row in rows:
        cell = row["cell"]
        if row["kind"] == "run" and cell["optimizer"] == "LSTM SAM":
            row["end"]["test_accuracy"] += 0.1 * cell["meta_seed"]
    ahead = gain("LSTM SAM", "mnist/mlp", "full") - gain(
        "LSTM none", "mnist/mlp", "full"
    )
    found = accuracy(rows, ["LSTM SAM"])
    assert found.by_meta_seed == pytest.approx([ahead, ahead + 10])
    assert found.interval.mean == pytest.approx(ahead + 5)
    by_hand = accuracy(rows, ["SAM"], {"mnist/mlp": ["Adam"]})
    assert by_hand.by_meta_seed == ()


def test_a_run_is_stopped_where_its_validation_accuracy_is_best():
    rows = make_rows(**ONE, rules=(), explicit=(), baselines=("Adam", "SGD-M"))
    runs = [row for row in rows if row["kind"] == "run"]
    for i, row in enumerate(runs):
        for step, record in enumerate(row["records"]):
            record["validation_accuracy"] = 0.5 + 0.1 * (step in (2, 3))
            record["validation_loss"] = 2.0 - step
            record["test_accuracy"] = 0.01 * step + 0.1 * i
        row["records"][-1]["validation_accuracy"] = math.nan
    stopped = stopped_early(frames(rows).records).set_index("key")
    assert len(stopped) == len(runs)
    for i, row in enumerate(runs):
        # Of two records with the best accuracy, that of the smaller loss.
        assert stopped.loc[row["key"], "test_accuracy"] == 0.03 + 0.1 * i
