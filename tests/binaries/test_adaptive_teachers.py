"""`adaptive_teachers` compares teachers at the same budget."""

import numpy as np
import pandas as pd

PROGRAM = "paper.checks.adaptive_teachers"
COLUMNS = ["teacher", "meta_seed", "task", "seed", "step", "test_accuracy"]


def test_help(check_help):
    check_help()


def test_teachers_are_checked(run):
    assert "--teachers must be of none, SAM, " in run("--teachers=feedback").err


def test_points_above_no_teacher(program):
    """Of two meta-seeds, at the last step: 10 and 30, and on another task -10."""
    rows = [
        ("none", 0, "small/a", 0, 1, 0.9),
        ("none", 0, "small/a", 0, 2, 0.4),
        ("none", 1, "small/a", 0, 2, 0.5),
        ("none", 0, "small/b", 0, 2, 0.5),
        ("SAM", 0, "small/a", 0, 2, 0.4),
        ("SAM", 0, "small/a", 1, 2, 0.6),
        ("SAM", 1, "small/a", 0, 2, 0.8),
        ("SAM", 0, "small/b", 0, 2, 0.4),
    ]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    table = program.beside_none(frame)["small"].loc["SAM"]
    np.testing.assert_allclose(table, [10.0, 0.0, 30.0, 1.0], atol=1e-9)
    alone = program.beside_none(frame[frame["teacher"] == "SAM"])
    assert alone["small"]["mean"].isna().all()


def test_runs_of_other_counts_are_refused(run, tmp_path):
    frame = pd.DataFrame([("none", 0, "small/mnist/mlp", 2, 9, 0.5)], columns=COLUMNS)
    frame.assign(meta_steps=400).to_csv(tmp_path / "adaptive_teachers.csv")
    arguments = f"--output={tmp_path}", "--tasks=small/mnist/mlp", "--meta_seeds=1"
    for flag in ("--steps=300", "--seeds=5"):
        line = run(*arguments, "--teachers=none", flag).code
        assert "must be those of the runs that are there" in line
    assert run(*arguments, "--teachers=none").code == 0
