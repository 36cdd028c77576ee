"""Drawing: many panels of lines, and effects with their intervals.

Both return a `matplotlib.figure.Figure`.
"""

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
    {"color": "#7F7F7F", "linestyle": (0, (1, 1)), "marker": "p"},
)
_LINE = {"markersize": 3.5, "markeredgewidth": 0.5}
_FONT = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8}
_OUTLIER = 30  # a line this many times above the middle one is cut off


@plt.rc_context(_FONT)
def line_panels(frame, order, xlabel="Step", log=False, size=(2.5, 1.8), linewidth=1.2):
    """Draws means with bands, panels in rows and columns, under one legend.

    Means that are not finite leave gaps.

    Args:
        frame: A `pandas.DataFrame` with the columns `row` (label of the vertical axis),
            `column` (title), `optimizer`, `x`, `mean` and `half`, half of the band's
            width. Panels stand in order of appearance.
        order: List of at most 8 optimizers, which fixes how each looks.
        xlabel: Label of the horizontal axes. Defaults to `"Step"`.
        log: Whether vertical axes are logarithmic if all means of the panel are
            positive. Defaults to `False`.
        size: Width and height of a panel in inches.
        linewidth: Width of the lines in points. Defaults to `1.2`.
    """
    rows, columns = (list(frame[name].unique()) for name in ("row", "column"))
    figure, grid = plt.subplots(
        len(rows),
        len(columns),
        figsize=(size[0] * len(columns), size[1] * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    for axes in grid.flat:
        axes.grid(axis="y", alpha=0.3)
    for (row, column), panel in frame.groupby(["row", "column"], sort=False):
        axes = grid[rows.index(row), columns.index(column)]
        _lines(axes, panel, _looks(order), linewidth)
        _scale(axes, panel, log)
    for axes, row in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(row)
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(column)
    for axes in grid[-1]:
        axes.set_xlabel(xlabel)
    _legend(figure, order)
    return figure


@plt.rc_context(_FONT)
def forest(frame, order, panels, width=7.0, across=False):
    """Draws effects with intervals: rows of text, and in each row a point a series.

    Args:
        frame: A `pandas.DataFrame` with the columns `panel`, `row`, `series`, `mean`,
            `low` and `high`.
        order: List of at most 8 series, which fixes how each looks.
        panels: Dict from each panel to a dict of its title, `xlabel`, `center` (no
            effect), the ends `margin` of a grey band of effects that are too small to
            matter, and whether the axis is `log`.
        width: Width of the figure in inches. Defaults to `7.0`.
        across: Whether panels share their rows and stand side by side, not one above
            the other. Defaults to `False`.
    """
    panels = {p: about for p, about in panels.items() if p in set(frame["panel"])}
    drawn = [name for name in order if name in set(frame["series"])]
    rows = {p: list(frame[frame["panel"] == p]["row"].unique()) for p in panels}
    heights = [0.11 * len(r) * (len(drawn) + 1) + 0.6 for r in rows.values()]
    figure, grid = plt.subplots(
        *((1, len(panels)) if across else (len(panels), 1)),
        figsize=(width, max(heights) if across else sum(heights)),
        sharey=across,
        squeeze=False,
        layout="constrained",
        height_ratios=None if across else heights,
    )
    for axes, (panel, about) in zip(grid.flat, panels.items(), strict=True):
        _around(axes, about)
        _intervals(axes, frame[frame["panel"] == panel], rows[panel], drawn, order)
    _legend(figure, order)
    return figure


def _looks(order):
    """Returns how each of at most 8 names is drawn, a dict of dicts."""
    return dict(zip(order, _LOOKS, strict=False))


def _around(axes, about):
    if about.get("log"):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.axvline(about["center"], color="0.4", linewidth=0.8)
    axes.axvspan(*about["margin"], color="0.9", zorder=0)
    axes.set_title(about["title"], loc="left")
    axes.set_xlabel(about["xlabel"])
    axes.grid(alpha=0.3)


def _intervals(axes, frame, rows, drawn, order):
    for i, name in enumerate(drawn):
        found = frame[frame["series"] == name]
        shift = (i - (len(drawn) - 1) / 2) / (len(drawn) + 1)
        at = [rows.index(row) + shift for row in found["row"]]
        widths = found["mean"] - found["low"], found["high"] - found["mean"]
        look = {**_looks(order)[name], "linestyle": "none", "linewidth": 1}
        look |= {"markersize": 3.5, "label": name}
        axes.errorbar(found["mean"], at, xerr=widths, **look)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for between in range(1, len(rows)):
        axes.axhline(between - 0.5, color="0.85", linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _lines(axes, panel, looks, linewidth):
    for name, line in panel.groupby("optimizer", sort=False):
        x, mean, half = (line[column].to_numpy() for column in ("x", "mean", "half"))
        # Markers at other steps than those of other lines.
        every = list(looks).index(name) % 5, 5
        look = {**looks[name], **_LINE, "linewidth": linewidth}
        axes.plot(x, mean, label=name, markevery=every, **look)
        color = looks[name]["color"]
        axes.fill_between(x, mean - half, mean + half, color=color, alpha=0.12, lw=0)


def _scale(axes, panel, log):
    """Sets limits to those of the means, so that wide bands cannot squeeze them.

    A linear axis shows where the lines end rather than how they rise from the start.
    """
    means = panel[np.isfinite(panel["mean"])].sort_values("x")
    if means.empty:
        return
    groups = means.groupby("optimizer")["mean"]
    high = min(groups.max().max(), _OUTLIER * abs(groups.max().median()))
    low, end = means["mean"].min(), groups.last().min()
    if log and 0 < low < high:
        margin = (high / low) ** 0.06
        axes.set(yscale="log", ylim=(low / margin, high * margin))
        _label_logarithmic(axes.yaxis, high / low)
    elif low < high:
        low = max(low, end - 2 * (high - end)) if end < high else low
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
        handles, names = axes.get_legend_handles_labels()
        found |= dict(zip(names, handles, strict=True))
    names = [name for name in order if name in found]
    width, height = figure.get_size_inches()
    ncols = max(1, int(width / (0.6 + 0.08 * max(map(len, names)))))
    figure.set_size_inches(width, height + 0.2 * -(-len(names) // ncols))
    handles = [found[name] for name in names]
    figure.legend(handles, names, loc="outside lower center", ncols=ncols)
