"""Figures of the grid: many panels of lines, and effects with their intervals."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker

# Okabe and Ito's colors with styles and markers, told apart in grey as well.
_LOOKS = (
    {"color": "#000000", "linestyle": "--", "marker": "o"},
    {"color": "#56B4E9", "linestyle": ":", "marker": "s"},
    {"color": "#E69F00", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": "-", "marker": "D"},
    {"color": "#0072B2", "linestyle": (0, (6, 1.5)), "marker": "v"},
    {"color": "#009E73", "linestyle": (0, (4, 1, 1, 1)), "marker": "P"},
    {"color": "#D55E00", "linestyle": "-", "marker": "X"},
)
_LINE = {"linewidth": 1.2, "markersize": 3.5, "markeredgewidth": 0.5}
_FONT = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8}
_OUTLIER = 30  # a line this many times above the middle one is cut off


@plt.rc_context(_FONT)
def line_panels(frame, order, xlabel="Step", size=(2.5, 1.8)):
    """Draws means with bands, panels in rows and columns, under one legend.

    Means that are not finite leave gaps. A vertical axis is logarithmic where the row
    asks for it and all means of the panel are positive.

    Args:
        frame: A `pandas.DataFrame` with the columns `row` (label of the vertical axis),
            `column` (title), `log`, `optimizer`, `x`, `mean` and `half`, half of the
            band's width. Panels stand in order of appearance.
        order: List of at most 7 optimizers, which fixes how each looks.
        xlabel: Label of the horizontal axes. Defaults to `"Step"`.
        size: Width and height of a panel in inches.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    rows, columns = (list(frame[name].unique()) for name in ("row", "column"))
    figure, grid = _subplots(len(rows), len(columns), size)
    for (row, column), panel in frame.groupby(["row", "column"], sort=False):
        axes = grid[rows.index(row), columns.index(column)]
        axes.set_visible(True)
        _lines(axes, panel, _looks(order))
        _scale(axes, panel)
    for axes, row in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(row)
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(column)
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
    _legend(figure, order)
    return figure


@plt.rc_context(_FONT)
def effects(frame, order, label, margin):
    """Draws effects with intervals around 0, panels in columns, a line for each task.

    Args:
        frame: A `pandas.DataFrame` with the columns `column` (the panel's title),
            `task`, `optimizer`, `mean`, `low` and `high`.
        order: List of at most 7 optimizers, which fixes how each looks.
        label: Label of the horizontal axes.
        margin: Half of the width of a grey band around 0, of effects that are too small
            to matter.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    columns, tasks = (list(frame[name].unique()) for name in ("column", "task"))
    drawn = [name for name in order if name in set(frame["optimizer"])]
    height = 0.12 * len(tasks) * (len(drawn) + 1) + 0.6
    figure, grid = _subplots(1, len(columns), (2.5, height), sharey=True)
    for axes, column in zip(grid[0], columns, strict=True):
        axes.axvline(0, color="0.4", linewidth=0.8)
        axes.axvspan(-margin, margin, color="0.9", zorder=0)
        axes.set(title=column, xlabel=label)
        panel = frame[frame["column"] == column]
        for i, name in enumerate(drawn):
            rows = panel[panel["optimizer"] == name]
            shift = (i - (len(drawn) - 1) / 2) / (len(drawn) + 1)
            at = [tasks.index(task) + shift for task in rows["task"]]
            widths = rows["mean"] - rows["low"], rows["high"] - rows["mean"]
            look = {**_looks(order)[name], "linestyle": "none", "linewidth": 1}
            axes.errorbar(rows["mean"], at, xerr=widths, label=name, **look)
    grid[0, 0].set_yticks(range(len(tasks)), tasks)
    grid[0, 0].set_ylim(len(tasks) - 0.5, -0.5)
    _legend(figure, order)
    return figure


def _looks(order):
    return dict(zip(order, _LOOKS, strict=False))


def _subplots(rows, columns, size, **options):
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(size[0] * columns, size[1] * rows),
        squeeze=False,
        layout="constrained",
        **options,
    )
    for axes in grid.flat:
        axes.grid(alpha=0.3)
    return figure, grid


def _lines(axes, panel, looks):
    for name, line in panel.groupby("optimizer", sort=False):
        x, mean, half = (line[column].to_numpy() for column in ("x", "mean", "half"))
        axes.plot(x, mean, label=name, **looks[name], **_LINE)
        color = looks[name]["color"]
        axes.fill_between(x, mean - half, mean + half, color=color, alpha=0.1, lw=0)


def _scale(axes, panel):
    """Sets limits to those of the means, so that wide bands cannot squeeze them."""
    means = panel[np.isfinite(panel["mean"])]
    if means.empty:
        return
    tops = means.groupby("optimizer")["mean"].max()
    high = min(tops.max(), _OUTLIER * abs(tops.median()))
    low = means["mean"].min()
    if panel["log"].all() and 0 < low < high:
        margin = (high / low) ** 0.06
        axes.set(yscale="log", ylim=(low / margin, high * margin))
        _label_logarithmic(axes.yaxis, high / low)
    elif low < high:
        margin = 0.06 * (high - low)
        axes.set_ylim(low - margin, high + margin)


def _label_logarithmic(axis, ratio):
    """Labels round numbers, about four of them, as 0.05 rather than 5 x 10^-2."""
    subs = (1,) if ratio > 30 else (1, 3) if ratio > 8 else (1, 2, 3, 5, 7)
    axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=6))
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter("{x:g}")


def _legend(figure, order):
    """Draws one legend under all panels, in as many rows as it takes."""
    found = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    names = [name for name in order if name in found]
    width, height = figure.get_size_inches()
    ncols = max(1, int(width / (0.6 + 0.08 * max(map(len, names)))))
    figure.set_size_inches(width, height + 0.2 * -(-len(names) // ncols))
    handles = [found[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=ncols)
