"""Tables of the nine tasks: numbers as text, optimizers in rows, tasks in columns."""

import numpy as np
import pandas as pd

from lrlearn.evaluation.aggregates import (
    interquartile_mean,
    probability_of_improvement,
)
from paper.report import names
from paper.report.effects import aligned, effect
from paper.report.intervals import intervals
from paper.report.matched import time_to_target


def measured(frame, column, digits=".3g", best=False, diverged=()):
    """Returns means ± half of their intervals.

    Args:
        frame: A frame of one regime, one row a run, with `task`, `optimizer`,
            `meta_seed`, `seed`, `key` and the column.
        column: Name of the column; where it is missing, the run must have diverged.
        digits: Format of numbers. Defaults to `".3g"`.
        best: Whether the largest mean of each task is bold. Defaults to `False`.
        diverged: Keys of the runs that diverged; their cells are marked.

    Returns:
        A `pandas.DataFrame` of text; see `layout`.
    """
    means = intervals(frame, ["task", "optimizer"], column)
    broken = frame[frame["key"].isin(diverged)]
    marked = set(zip(broken["task"], broken["optimizer"], strict=True))
    top = means.groupby("task")["mean"].transform("max") if best else np.inf
    cells = {}
    for row, is_best in zip(means.itertuples(), means["mean"] >= top, strict=True):
        text = number(row.mean, digits)
        text = f"**{text}**" if is_best and best else text
        if np.isfinite(row.half):
            text += f" ± {row.half:{digits.replace('3g', '2g')}}"
        mark = " ‡" if (row.task, row.optimizer) in marked else ""
        cells[row.optimizer, row.task] = text + mark
    return layout(cells)


def compared(measure, regime, rows, tasks, references, text, each=True):
    """Returns effects with intervals, one column a task and their mean.

    Args:
        measure: A measure of `differences`.
        regime: Name of the regime.
        rows: List of the optimizers.
        tasks: List of the tasks.
        references: Function of an optimizer and a task that returns the name of the
            reference; `None` for none.
        text: Function of an `Effect` that returns a cell.
        each: Whether each task has a column. Defaults to `True`.

    Returns:
        A `pandas.DataFrame` of text; see `layout`.
    """
    cells = {}
    for optimizer in rows:
        against = {task: references(optimizer, task) for task in tasks}
        against = {task: [name] for task, name in against.items() if name}
        columns = {task: {task: name} for task, name in against.items() if each}
        for column, part in {**columns, "all tasks": against}.items():
            found = effect(measure, regime, [optimizer], part)
            if found:
                cells[optimizer, column] = text(found)
    return layout(cells)


def target_times(records, target, unit):
    """Returns medians of the time to the target, and how many runs reached it.

    Args:
        records: Records of one regime.
        target: What `matched.target_losses` returned.
        unit: `"step"`, `"gradients"` or `"training_cpu_seconds"`.

    Returns:
        A `pandas.DataFrame` of text; see `layout`.
    """
    times = time_to_target(records, "validation_loss", target)
    cells = {}
    for (optimizer, task), found in times.groupby(["optimizer", "task"])[unit]:
        reached = np.isfinite(found).sum()
        median = np.median(found)
        middle = f"{median:.3g}" if unit.endswith("seconds") else f"{median:.0f}"
        middle = middle if np.isfinite(median) else "never"
        cells[optimizer, task] = f"{middle} ({reached}/{len(found)})"
    return layout(cells)


def aggregates(accuracy, regime):
    """Returns means, interquartile means and probabilities of improvement.

    Args:
        accuracy: An `Accuracy`.
        regime: Name of the regime.

    Returns:
        A `pandas.DataFrame` of text, one row an optimizer.
    """
    tables = {}
    for (task, place, optimizer), table in accuracy.tables.items():
        if place == regime:
            tables.setdefault(optimizer, {})[task] = table
    adam = tables.get("Adam", {})
    rows = []
    for optimizer in names.optimizers(tables):
        own = tables[optimizer]
        none = f"{optimizer.split()[0]} none"
        rows.append(
            {
                "optimizer": optimizer,
                "mean": _mean(accuracy, regime, optimizer, adam),
                "IQM": _interquartile(own, adam),
                "P(above LO none)": _above(own, tables.get(none, {})),
                "P(above tuned Adam)": _above(own, adam),
            }
        )
    return pd.DataFrame(rows)


def points(found):
    """Returns a difference of accuracy as text, `+1.2 [0.3, 2.1]`."""
    return _interval(found.interval, 1, sign="+")


def ratio(found):
    """Returns a ratio as text, from an effect of its logarithm."""
    return _interval(np.exp(found.interval), 2, nothing=1.0)


def ratio_of_pairs(found):
    """Returns a ratio as text, with the number of matched pairs of all."""
    return f"{ratio(found)} ({found.pairs}/{found.pairs + found.left_out})"


def number(value, digits):
    """Returns a number as text."""
    return f"{value:{digits}}" if np.isfinite(value) else "∞"


def layout(cells):
    """Returns a frame from a dict of `(optimizer, task)` to text, in order.

    The first column is `optimizer`; what is missing is NaN.
    """
    rows = names.optimizers(optimizer for optimizer, _ in cells)
    columns = names.tasks(task for _, task in cells)
    table = [[o, *(cells.get((o, task)) for task in columns)] for o in rows]
    return pd.DataFrame(table, columns=["optimizer", *columns])


def _interval(interval, digits, nothing=0.0, sign=""):
    """One more digit is told where an end would seem to be `nothing` and is not."""
    mean, low, high = interval
    ends = [end for end in (low, high) if end != nothing]
    digits += any(round(end - nothing, digits) == 0 for end in ends)
    return f"{mean:{sign}z.{digits}f} [{low:z.{digits}f}, {high:z.{digits}f}]"


def _mean(accuracy, regime, optimizer, adam):
    against = {} if optimizer == "Adam" else dict.fromkeys(adam, ["Adam"])
    found = effect(accuracy, regime, [optimizer], against)
    return points(found) if found else None


def _interquartile(own, reference):
    shared = [
        own[task] - reference[task].mean(axis=None) for task in own if task in reference
    ]
    if not shared:
        return None
    return _interval(interquartile_mean(aligned(shared))[0], 1, sign="+")


def _above(own, others):
    shared = [task for task in own if task in others]
    if own is others or not shared:
        return None
    sides = (aligned([side[task] for task in shared]) for side in (own, others))
    return _interval(probability_of_improvement(*sides)[0], 2, nothing=0.5)
