"""`transfer` sets presets beside Adam on tasks that classify no images."""

import keras
import numpy as np
import pandas as pd
import pytest

PROGRAM = "paper.checks.transfer"


def test_help(check_help):
    check_help()


def test_tasks_are_checked(run):
    assert "--tasks must be of diabetes/mlp, " in run("--tasks=mnist/mlp").err


def test_the_decay_is_kerass(program):
    mine, expected = (
        program.CosineDecay(50),
        keras.optimizers.schedules.CosineDecay(0.3, 50),
    )
    mine.peak.assign(0.3)
    for step in (0, 10, 25, 49):
        assert float(mine(step)) == pytest.approx(float(expected(step)), rel=1e-4)


def test_runs_that_are_there_are_not_made_again(program):
    frame = pd.DataFrame(
        [("a", 10, "adam", 0), ("a", 10, "adam", 2), ("a", 20, "adam", 1)],
        columns=["task", "steps", "optimizer", "seed"],
    )
    assert program.missing_seeds(frame, "a", 10, "adam", 4) == [1, 3]
    assert program.missing_seeds(frame, "a", 10, "lo_sam", 2) == [0, 1]


def test_a_table_of_means_and_intervals(program):
    """Student's t of 95 % for one degree of freedom is 12.706."""
    frame = pd.DataFrame(
        [
            ("a", 10, "adam", 0, 1.0),
            ("a", 10, "adam", 1, 3.0),
            ("a", 10, "lo_sam", 0, 150.0),
            ("a", 10, "lo_sam", 1, 150.0),
        ],
        columns=["task", "steps", "optimizer", "seed", "test_loss"],
    )
    table = program.table(frame, "test_loss")
    assert table["a, 10 steps"].to_dict() == {
        "adam": "2.000 ± 12.706",
        "lo_sam": "150.0 ± 0.0",
    }
    assert program.markdown(table).splitlines()[2] == "| `adam` | 2.000 ± 12.706 |"


@pytest.mark.slow
def test_it_goes_on_where_it_stopped(run, tmp_path):
    arguments = ["--tasks=diabetes/mlp", "--steps=5", f"--output={tmp_path}"]
    assert run(*arguments, "--optimizers=adam_tuned", "--seeds=1").code == 0
    first = pd.read_csv(tmp_path / "transfer.csv")
    assert run(*arguments, "--optimizers=adam_tuned,lo_sam", "--seeds=2").code == 0
    both = pd.read_csv(tmp_path / "transfer.csv")
    pd.testing.assert_frame_equal(both.iloc[:1], first)
    pairs = both[["optimizer", "seed"]].apply(tuple, axis=1).tolist()
    assert pairs == [("adam_tuned", 0), ("adam_tuned", 1), ("lo_sam", 0), ("lo_sam", 1)]
    assert np.isfinite(both[["test_loss", "test_metric"]]).all(axis=None)
