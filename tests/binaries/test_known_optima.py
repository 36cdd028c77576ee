"""`known_optima` trains convex problems to the optima that other solvers find."""

import numpy as np
import pandas as pd
import pytest

PROGRAM = "paper.checks.known_optima"


def test_help(check_help):
    check_help()


def test_problems_are_checked(run):
    assert "--problems must be of lasso, " in run("--problems=ridge").err


@pytest.mark.parametrize("name", ["lasso", "nnls", "svm", "lad"])
def test_solutions_are_minima(program, name):
    """No point around them is lower."""
    problem, rng = program.PROBLEMS[name](), np.random.default_rng(0)
    least = problem.objective(*problem.solution)
    for size in (1e-3, 1e-2, 1e-1):
        for _ in range(30):
            point = [s + size * rng.normal(size=np.shape(s)) for s in problem.solution]
            if name == "nnls":
                point = [np.maximum(point[0], 0.0)]
            assert problem.objective(*point) > least


@pytest.mark.parametrize("name", ["lasso", "nnls"])
def test_a_preset_comes_within_a_percent(program, name):
    """With as many weights that are exactly 0."""
    found = program.solve(program.PROBLEMS[name](), "lo_none", steps=500)
    assert -1e-6 < found["excess"] < 0.01
    assert found["zeros"] == found["optimal_zeros"] > 0


def test_a_table(run, tmp_path):
    """One row a run."""
    outcome = run(
        "--problems=svm", "--optimizers=adam", "--steps=100", f"--output={tmp_path}"
    )
    assert outcome.code == 0, outcome
    (row,) = pd.read_csv(tmp_path / "known_optima.csv").to_dict("records")
    excess = row["objective"] / row["optimum"] - 1
    assert row["excess"] == pytest.approx(excess, rel=1e-2) and excess > 0.1
