r"""Constrained and non-smooth problems, beside their optima by other solvers.

    python -m paper.checks.known_optima
    python -m paper.checks.known_optima --problems=lasso --steps=2000 --batch_size=32

Linear models on standardized data that ship with scikit-learn: the lasso, non-negative
least squares, a linear SVM, least absolute deviations. Presets are told the length, and
run with their dial as it is and at 0. Adam at its default rate, constant and with a
cosine decay, has the penalty of the lasso as a `kernel_regularizer`. Writes one row a
run: by how much the objective is above its optimum, and weights that are exactly 0.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import flags
from scipy import optimize
from sklearn import datasets, linear_model, svm
from tqdm.auto import tqdm

import lrlearn
from binaries import cli

_LASSO, _RIDGE = 0.2, 0.01


class Problem(NamedTuple):
    """A linear model, its loss and data, and the solution of another solver.

    Attributes:
        x: Inputs, float32 `[n, k]`.
        y: Targets, float32 `[n, 1]`.
        loss: Name of the Keras loss.
        objective: Function of a kernel `[k]` and, if the model has one, a bias.
        solution: Those at the optimum, a tuple.
        layer: Arguments of `keras.layers.Dense`.
        l1: Strength of the penalty $|w|_1$. Defaults to `0`.
    """

    x: np.ndarray
    y: np.ndarray
    loss: str
    objective: Callable
    solution: tuple
    layer: dict
    l1: float = 0.0


def lasso():
    r"""Returns the `Problem` $\min_{w, b} |Xw + b - y|^2/n + \lambda\,|w|_1$."""
    x, y = _diabetes()
    solver = linear_model.Lasso(_LASSO / 2, tol=1e-12, max_iter=100_000).fit(x, y)

    def objective(w, b):
        return np.mean(np.square(x @ w + b - y)) + _LASSO * np.abs(w).sum()

    solution = solver.coef_, solver.intercept_
    return _problem(x, y, "mse", objective, solution, {}, _LASSO)


def nnls():
    r"""Returns the `Problem` $\min_{w \ge 0} |Xw - y|^2/n$."""
    x, y = _diabetes()
    solution, _ = optimize.nnls(x, y)

    def objective(w):
        return np.mean(np.square(x @ w - y)) if (w >= 0).all() else np.inf

    layer = {"kernel_constraint": "non_neg", "use_bias": False}
    return _problem(x, y, "mse", objective, (solution,), layer)


def linear_svm():
    r"""Returns $\min_{w, b} \sum_i \max(0, 1 - y_i (w^T x_i + b))/n + c\,|w|^2$."""
    x, labels = datasets.load_breast_cancer(return_X_y=True)
    x, y = _standardize(x), 2.0 * labels - 1.0
    solver = svm.SVC(C=1 / (2 * _RIDGE * len(x)), kernel="linear", tol=1e-9).fit(x, y)

    def objective(w, b):
        hinge = np.maximum(0.0, 1.0 - y * (x @ w + b))
        return np.mean(hinge) + _RIDGE * np.square(w).sum()

    solution = solver.coef_[0], solver.intercept_[0]
    layer = {"kernel_regularizer": keras.regularizers.L2(_RIDGE)}
    return _problem(x, y, "hinge", objective, solution, layer)


def least_absolute_deviations():
    r"""Returns the `Problem` $\min_{w, b} |Xw + b - y|_1/n$."""
    x, y = _diabetes()
    n, k = x.shape
    # Residuals are the differences of two non-negative parts.
    design = np.hstack([x, np.ones((n, 1)), np.eye(n), -np.eye(n)])
    cost = np.concatenate([np.zeros(k + 1), np.full(2 * n, 1 / n)])
    bounds = [(None, None)] * (k + 1) + [(0, None)] * (2 * n)
    found = optimize.linprog(cost, A_eq=design, b_eq=y, bounds=bounds).x

    def objective(w, b):
        return np.mean(np.abs(x @ w + b - y))

    return _problem(x, y, "mae", objective, (found[:k], found[k]), {})


PROBLEMS = {
    "lasso": lasso,
    "nnls": nnls,
    "svm": linear_svm,
    "lad": least_absolute_deviations,
}
_OPTIMIZERS = ["lo_none", "lo_sam", "lo_gsam", "lo_gam", "lo_lstm_sam"]
_OPTIMIZERS += ["adam", "adam_cosine"]
_NAMES = flags.DEFINE_list("problems", list(PROBLEMS), "Problems; default: all.")
flags.register_validator(
    "problems",
    lambda names: set(names) <= set(PROBLEMS),
    f"--problems must be of {', '.join(PROBLEMS)}.",
)
_CHOSEN = flags.DEFINE_list(
    "optimizers", _OPTIMIZERS, "Presets or directories, adam and adam_cosine."
)
_STEPS = flags.DEFINE_list("steps", ["2000", "10000"], "Lengths of the runs.")
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 0, "Examples in a batch, drawn without replacement; 0 for all."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of initial weights and batches.")
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")
_NAME = flags.DEFINE_string("name", "known_optima", "Name of the files.")


def main():
    """Runs the check by the flags."""
    output = cli.output_directory(_OUTPUT.value) / f"{_NAME.value}.csv"
    # Before anything is written, which would make the tree look changed.
    origin, rows = cli.provenance(), []
    problems = {name: PROBLEMS[name]() for name in _NAMES.value}
    cases = itertools.product(problems.items(), _CHOSEN.value, cli.numbers(_STEPS, int))
    for (name, problem), optimizer, steps in tqdm([*cases]):
        for rho in (None, 0.0) if _has_dial(optimizer) else (None,):
            keys = {"problem": name, "optimizer": optimizer, "steps": steps}
            keys["dial"] = "default" if rho is None else "0"
            found = solve(
                problem, optimizer, steps, rho, _BATCH_SIZE.value, _SEED.value
            )
            rows.append({**keys, **found})
            cli.write_table(output, pd.DataFrame(rows), origin, "%.4g")
    frame, index = pd.DataFrame(rows), ["optimizer", "dial", "steps"]
    print(frame.pivot_table("excess", index, "problem", sort=False).to_string())


def solve(problem, optimizer, steps, rho=None, batch_size=0, seed=0):
    """Returns how an optimizer ends on a problem, a dict.

    Args:
        problem: A `Problem`.
        optimizer: `"adam"`, `"adam_cosine"` or a preset.
        steps: Number of steps, of hundreds.
        rho: Setting of the preset's dial, or `None` for its default.
        batch_size: Examples in a batch; 0, the default, for all.
        seed: Seed of initial weights and batches. Defaults to `0`.
    """
    keras.utils.set_random_seed(seed)
    n = len(problem.x)
    size = batch_size or n
    layer, is_adam = dict(problem.layer), optimizer.startswith("adam")
    if problem.l1 and is_adam:
        layer["kernel_regularizer"] = keras.regularizers.L1(problem.l1)
    model = keras.Sequential(
        [keras.Input(problem.x.shape[1:]), keras.layers.Dense(1, **layer)]
    )
    # As `lrlearn.RunLength` tells it in a `fit` of so many epochs.
    told = {"total_steps": steps, "epochs": steps * size / n, "rho": rho}
    model.compile(
        _adam(optimizer, steps)
        if is_adam
        else lrlearn.LearnedOptimizer.from_preset(optimizer, l1=problem.l1, **told),
        problem.loss,
        steps_per_execution=100,
    )
    data = tf.data.Dataset.from_tensor_slices((problem.x, problem.y))
    data = data.cache() if size == n else data.shuffle(n, seed=seed)
    data = data.batch(size, drop_remainder=True).repeat()
    model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0)
    w, *b = (v.astype("float64").ravel() for v in model.get_weights())
    optimum = problem.objective(*problem.solution)
    objective = problem.objective(w, *b)
    return {
        "objective": objective,
        "optimum": optimum,
        "excess": objective / optimum - 1,
        "zeros": int(np.sum(w == 0)),
        "optimal_zeros": int(np.sum(problem.solution[0] == 0)),
    }


def _problem(x, y, *args):
    return Problem(np.float32(x), np.float32(y[:, None]), *args)


def _diabetes():
    x, y = datasets.load_diabetes(return_X_y=True)
    return _standardize(x), _standardize(y)


def _standardize(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def _has_dial(optimizer):
    if optimizer.startswith("adam"):
        return False
    return "rho" in lrlearn.LearnedOptimizer.from_preset(optimizer).rule.run_inputs


def _adam(name, steps):
    if name == "adam":
        return keras.optimizers.Adam()
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))


if __name__ == "__main__":
    cli.run(main)
