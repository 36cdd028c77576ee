"""What turning the dial trades: accuracy in one regime against that in another."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lrlearn.evaluation.bootstrap import cell_counts, interval_of
from paper.grid.optimizers import DIAL
from paper.report import effects, labels
from paper.report.claims import END, Claim, Result
from paper.report.effects import Effect, crossed

REGIMES = ("full", "small")
TEACHERS = ("SAM", "L2")
_POINTS = 101
_LINES = {"SAM": "o-", "L2": "s--"}
# Numbers beside the points: the curves are close, so one's are above, one's below.
_NUMBERS = {
    "SAM": {"xytext": (4, 3)},
    "L2": {"xytext": (-4, -3), "ha": "right", "va": "top"},
}


def accuracies(study):
    """Returns test accuracies in % at all settings of the dials.

    Only tasks count that have both regimes and all settings of both teachers, with all
    meta-seeds and seeds that any of them has.

    Returns:
        A tuple `(tasks, values)`: a list of names, and an array `[teachers, settings,
        regimes, tasks, meta-seeds, seeds]`; `None` if no task counts.
    """
    tables = _whole_tables(study.frames.runs)
    cases = [
        (regime, f"MLP {teacher} {rho:g}")
        for teacher, rho, regime in itertools.product(TEACHERS, DIAL, REGIMES)
    ]
    found = {}
    for task in labels.TASKS:
        names = [(task, *case) for case in cases]
        if all(name in tables for name in names):
            found[task] = np.stack([tables[name] for name in names])
    if not found:
        return None
    values = np.stack(list(found.values()), axis=1)
    shape = len(TEACHERS), len(DIAL), len(REGIMES), *values.shape[1:]
    return list(found), values.reshape(shape)


def table(values):
    """Returns mean accuracies over tasks, one row a teacher and setting."""
    means = values.mean(axis=(3, 4, 5))
    rows = [
        {
            "teacher": teacher,
            "dial": f"{rho:g}",
            **{name: f"{means[i, j, k]:.1f}" for k, name in enumerate(REGIMES)},
        }
        for i, teacher in enumerate(TEACHERS)
        for j, rho in enumerate(DIAL)
    ]
    return pd.DataFrame(rows)


def gap(values):
    r"""Returns how far SAM's curve lies above L2's, in points, as an `Interval`.

    With $f(r)$ and $s(r)$ the mean accuracies in the two regimes at setting $r$, linear
    between the settings that were run, a curve is

    $$s^*(a) = \max_{r : f(r) \ge a} s(r),$$

    the best accuracy in `small` that leaves at least $a$ in `full`. The gap is that of
    the curves, mean over all $a$ that both reach. Resamples are those of
    `hierarchical_bootstrap`: of meta-seeds, for all tasks and teachers together, and
    of the seeds of each task.
    """
    tasks = values.shape[3]
    cells = [np.zeros(values.shape[4:])] * tasks
    counts = cell_counts(cells, effects.RESAMPLES, np.random.default_rng(0))
    flat = values.reshape(*values.shape[:4], -1)
    means = sum(
        np.einsum("trgc,bc->btrg", flat[..., t, :], c / c.sum(1, keepdims=True))
        for t, c in enumerate(counts)
    )
    sam, l2 = np.moveaxis(means / tasks, 1, 0)
    return interval_of(_mean_gap(_fine(sam), _fine(l2)), 0.95)[0]


def judged(values):
    """Returns the gap as a `Result`, which has its verdict."""
    tasks, meta_seeds, seeds = values.shape[3:]
    counts = {"tasks": tasks, "all_tasks": tasks, "pairs": values[0, 0, 0].size}
    counts |= {"meta_seeds": meta_seeds, "seeds": seeds}
    claim = Claim("the dial", ("{rule} SAM",), ("{rule} L2",), END)
    return Result(claim, "MLP", "small", "points", Effect(gap(values), **counts))


def draw(study):
    """Draws both curves, one point a setting, and the best tuned baselines.

    Returns a `matplotlib.figure.Figure`, or `None` if no dial was turned.
    """
    found = accuracies(study)
    if found is None:
        return None
    tasks, values = found
    means = values.mean(axis=(3, 4, 5))
    figure, axes = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
    for teacher, curve in zip(TEACHERS, means, strict=True):
        (line,) = axes.plot(*curve.T, _LINES[teacher], label=f"MLP-LO + {teacher}")
        look = {**_NUMBERS[teacher], "textcoords": "offset points", "fontsize": 8}
        for rho, point in zip(DIAL, curve, strict=True):
            axes.annotate(f"{rho:g}", point, color=line.get_color(), **look)
    best = _best_baselines(study, tasks)
    if best is not None:
        axes.plot(*best, "k*", markersize=10, label="best tuned baseline of each task")
    axes.set_xlabel("Test accuracy in full, %")
    axes.set_ylabel("Test accuracy in small, %")
    axes.legend()
    return figure


def _whole_tables(runs):
    """Returns accuracies, meta-seeds by seeds, where none is missing.

    It is a dict of arrays by task, regime and optimizer.
    """
    runs = runs[runs["optimizer"].isin(labels.DIALS)]
    runs = runs.assign(percent=100 * runs["test_accuracy"])
    meta_seeds, seeds = (sorted(runs[n].unique()) for n in ("meta_seed", "seed"))
    found = {}
    for names, part in runs.groupby(["task", "regime", "optimizer"]):
        whole = crossed(part, "percent").reindex(index=meta_seeds, columns=seeds)
        if whole.notna().all(axis=None):
            found[names] = whole.to_numpy()
    return found


def _best_baselines(study, tasks):
    """Returns the mean accuracies over tasks of the best tuned baseline of each."""
    runs = study.frames.runs
    if not all((task, regime) in study.best for task in tasks for regime in REGIMES):
        return None
    means = 100 * runs.groupby(["regime", "task", "optimizer"])["test_accuracy"].mean()
    return [
        np.mean([means[regime, task, study.best[task, regime]] for task in tasks])
        for regime in REGIMES
    ]


def _fine(curves):
    """Returns curves `[b, settings, regimes]` with more points, linear in between."""
    at = np.linspace(0, curves.shape[1] - 1, _POINTS)
    low = np.minimum(at.astype(int), curves.shape[1] - 2)
    part = (at - low)[:, None]
    return (1 - part) * curves[:, low] + part * curves[:, low + 1]


def _mean_gap(x, y):
    """Returns the mean gap of curves `[b, points, 2]`, an array `[b]`."""
    least, most = (
        f(g(x[..., 0], axis=1), g(y[..., 0], axis=1))
        for f, g in ((np.maximum, np.min), (np.minimum, np.max))
    )
    levels = np.linspace(np.minimum(least, most), most, 21)
    gaps = [_best_at(x, level) - _best_at(y, level) for level in levels]
    return np.mean(gaps, axis=0)


def _best_at(curve, level):
    reached = curve[..., 0] >= level[:, None] - 1e-9
    return np.where(reached, curve[..., 1], -np.inf).max(axis=1)
