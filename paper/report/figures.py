"""Figures of the grid, from frames to files."""

import itertools

import numpy as np
import pandas as pd

from lrlearn.evaluation.aggregates import performance_profiles
from lrlearn.plots import loss_landscape
from paper.grid.optimizers import RULES
from paper.report import grid_figures, names
from paper.report.claims import MARGINS, POINTS
from paper.report.effects import effect
from paper.report.intervals import intervals
from paper.report.matched import time_to_target

_HAND = ("Adam", "SGD-M", "SAM")
_QUANTITIES = {
    "max_loss": "Largest loss",
    "max_gradient_norm": "Largest gradient norm",
    "surrogate_gap": "Surrogate gap",
}
_FACTORS = np.geomspace(1, 20, 14)


def shown(rule):
    """Returns the optimizers that are drawn for a rule, in order."""
    return [*_HAND, *(f"{rule} {t}" for t in ("none", *names.REGULARIZED))]


def trajectories(records, rule, column, label, name, log=False):
    """Draws a column along training, data sets in rows, networks in columns.

    Args:
        records: Records of one regime.
        rule: `"LSTM"` or `"MLP"`.
        column: Name of the column.
        label: Label of the vertical axes.
        name: Function of a data set that returns its name.
        log: Whether the vertical axes are logarithmic. Defaults to `False`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where there is nothing to draw.
    """
    records = _of(records, rule)
    if records.empty:
        return None
    table = intervals(records, ["dataset", "network", "optimizer", "step"], column)
    table = _in_order(
        _in_order(table, "network", names.NETWORKS), "dataset", names.DATASETS
    )
    table["row"] = table["dataset"].map(name) + "\n" + label
    table["column"] = table["network"].map(lambda n: names.NETWORKS.get(n, n))
    table = table.rename(columns={"step": "x"}).assign(log=log)
    return grid_figures.line_panels(table, shown(rule))


def sharpness(sharpness, rule):
    """Draws largest loss, gradient norm and gap within fixed radii along training.

    Args:
        sharpness: Sharpness on one task in one regime.
        rule: `"LSTM"` or `"MLP"`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where there is nothing to draw.
    """
    fixed = _of(sharpness[sharpness["ball"] == "fixed"], rule)
    if fixed.empty:
        return None
    parts = []
    for column, label in _QUANTITIES.items():
        table = intervals(fixed, ["radius", "optimizer", "step"], column)
        parts.append(table.assign(row=label))
    table = pd.concat(parts).sort_values(["radius"], kind="stable")
    table = _in_order(table, "row", _QUANTITIES.values())
    table["column"] = table["radius"].map("radius {:g}".format)
    table = table.rename(columns={"step": "x"}).assign(log=True)
    return grid_figures.line_panels(table, shown(rule))


def landscape(landscapes, rule):
    """Draws the loss on planes through what one run of each optimizer reached.

    Args:
        landscapes: Landscapes of one task in one regime.
        rule: `"LSTM"` or `"MLP"`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where no loss is finite.
    """
    meta_seed = landscapes["meta_seed"]
    first = meta_seed.isna() | (meta_seed == meta_seed.min())
    drawn = _in_order(_of(landscapes[first], rule), "optimizer", shown(rule))
    if not np.isfinite(drawn["loss"]).any():
        return None
    return loss_landscape(drawn, "Training loss")


def transfer(accuracy, regimes, name):
    """Draws what teachers add to the test accuracy, task by task.

    Args:
        accuracy: An `Accuracy`.
        regimes: List of the regimes.
        name: Function of a task that returns its name.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where there is nothing to compare.
    """
    rows = []
    for rule, regime in itertools.product(RULES, regimes):
        tasks = names.tasks(t for t, place, _ in accuracy.tables if place == regime)
        for teacher, task in itertools.product(names.REGULARIZED, tasks):
            none = {task: [f"{rule} none"]}
            found = effect(accuracy, regime, [f"{rule} {teacher}"], none)
            if found:
                interval = found.interval._asdict()
                labels = {"task": name(task), "optimizer": f"LO {teacher}"}
                column = f"{rule} rule, {regime}"
                rows.append({"column": column, **labels, **interval})
    if not rows:
        return None
    label = "Points above LO none"
    return grid_figures.effects(pd.DataFrame(rows), shown("LO"), label, MARGINS[POINTS])


def profiles(records, target, rule):
    """Draws performance profiles of the gradients to the target, regimes in columns.

    Args:
        records: The frame `Frames.records`.
        target: What `matched.target_losses` returned.
        rule: `"LSTM"` or `"MLP"`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where there is nothing to draw.
    """
    times = time_to_target(_of(records, rule), "validation_loss", target)
    if times.empty:
        return None
    parts = []
    for regime, runs in times.groupby("regime", sort=False):
        table = performance_profiles(runs, "gradients", _FACTORS)
        table = table.reset_index(names="x").melt("x", value_name="mean")
        parts.append(table.assign(column=regime))
    table = _in_order(pd.concat(parts), "column", names.REGIMES)
    table = table.assign(row="Fraction of runs", half=np.nan, log=False)
    xlabel = "Gradients to the target / fewest"
    figure = grid_figures.line_panels(table, shown(rule), xlabel, size=(3.6, 2.4))
    for axes in figure.axes:
        axes.set_xscale("log")
        axes.set_xticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
        axes.minorticks_off()
    return figure


def _of(frame, rule):
    return frame[frame["optimizer"].isin(shown(rule))]


def _in_order(table, column, known):
    order = names.in_order(table[column], known)
    return table.sort_values(column, key=lambda c: c.map(order.index), kind="stable")
