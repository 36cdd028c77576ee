"""`long_runs` sets losses at the end of long runs beside Adam's."""

import numpy as np
import pandas as pd
import pytest

from paper.checks import unseen_tasks

PROGRAM = "paper.checks.long_runs"


def test_help(check_help):
    check_help()


def test_tasks_and_ways_are_checked(run):
    assert "--tasks must be of deep_mlp, " in run("--tasks=mnist").err
    assert "--ways must be of length, " in run("--ways=half").err


def _records(task, optimizer, losses, told=0):
    keys = {"task": task, "optimizer": optimizer, "told": told, "dial": "default"}
    return [
        {
            **keys,
            "train_loss": x,
            "validation_loss": 2 * x,
            "validation_accuracy": 1 / x,
        }
        for x in losses
    ]


def test_losses_are_divided_by_adams_at_the_end(program):
    """A run that was NaN or infinite at any time is NaN."""
    frame = pd.DataFrame(
        [
            *_records("a", "adam", [9.0, 2.0]),
            *_records("a", "lo_x", [7.0, 3.0]),
            *_records("a", "lo_x", [np.inf, 3.0], told=10),
            *_records("b", "lo_x", [np.nan, 1.0]),
            *_records("b", "adam", [1.0, 4.0]),
            *_records("b", "lo_y", [1.0, 1.0]),
        ]
    )
    table = program.beside_adam(frame)
    found = {
        key[:3]: tuple(row)
        for key, row in zip(table.index, table.to_numpy(), strict=True)
    }
    expected = {("a", "lo_x", 0): (1.5, 1 / 3 - 0.5), ("b", "lo_y", 0): (0.25, 0.75)}
    for key, row in expected.items():
        assert found.pop(key) == pytest.approx(row)
    assert found.keys() == {("a", "lo_x", 10), ("b", "lo_x", 0)}
    assert np.isnan(list(found.values())).all()
    summary = program.summarize(table)
    counts = [list(row) for row in summary.iloc[:, :5].to_numpy()]
    assert counts == [[2, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 0, 1, 1, 1]]


@pytest.mark.parametrize("name", unseen_tasks.NAMES)
def test_unseen_tasks(name):
    """Losses of an untrained network are finite, with outputs of the right size."""
    task = unseen_tasks.load(name)
    params, state = task.init(seed=0)
    for x, y in (task.train, task.validation):
        loss, outputs, _ = task.evaluate_loss(params, state, x[:4], y[:4])
        assert np.isfinite(loss) and outputs.shape == (4, 1 if y.ndim > 1 else 10)
    assert task.name == name and task.batch_size >= 1


@pytest.mark.slow
def test_it_goes_on_where_it_stopped(run, tmp_path):
    arguments = "--presets=lo_sam,lstm_paper_none", "--steps=10", f"--output={tmp_path}"
    assert run("--tasks=batch_8", *arguments).code == 0
    first = pd.read_csv(tmp_path / "long_runs.csv")
    ways = [("adam", 0, "default"), ("lo_sam", 10, "default"), ("lo_sam", 2, "default")]
    ways += [("lo_sam", 0, "default"), ("lo_sam", 10, "0")]
    ways.append(("lstm_paper_none", 0, "default"))
    found = first[["optimizer", "told", "dial"]].drop_duplicates()
    assert list(found.itertuples(index=False, name=None)) == ways
    assert first.groupby(["optimizer", "told", "dial"])["step"].max().eq(10).all()
    again = run("--tasks=batch_8,batch_1", *arguments)
    both = pd.read_csv(tmp_path / "long_runs.csv")
    pd.testing.assert_frame_equal(both.iloc[: len(first)], first)
    assert set(both["task"]) == {"batch_8", "batch_1"} and "batch_1" in again.out
    assert not both.duplicated(["task", "optimizer", "told", "dial", "step"]).any()
    line = run("--tasks=batch_8", *arguments[:1], "--steps=20", arguments[2]).code
    assert "--steps must be those of the runs that are there" in line
