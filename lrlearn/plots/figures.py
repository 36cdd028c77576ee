"""Lines with bands, one panel for each network."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np

from lrlearn.evaluation.statistics import mean_interval

# Okabe and Ito's colours, which colour-blind readers can tell apart; the line styles
# are for print in grey.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES = ("-", "--", "-.", ":")


def training_curves(frame, column="test_accuracy", label="Test accuracy"):
    """Draws means with 95 % bands along training, one panel for each network.

    Args:
        frame: A `pandas.DataFrame` with the columns `network`, `optimizer`, `seed`,
            `step` and `column`.
        column: The column to draw. Defaults to `"test_accuracy"`.
        label: Label of the vertical axis. Defaults to `"Test accuracy"`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    scale = {"yscale": "log"} if column.endswith("_loss") else {}
    return _panels(frame, "step", column, label, {"xlabel": "Step", **scale})


def sharpness_by_radius(frame, column="increase", label="Increase of the loss"):
    """Draws means with 95 % bands over radii, one panel for each network.

    Both axes are logarithmic. A band that reaches 0 ends at the edge of its panel.

    Args:
        frame: A `pandas.DataFrame` with the columns `network`, `optimizer`, `seed`,
            `radius` and `column`.
        column: The column to draw. Defaults to `"increase"`.
        label: Label of the vertical axis. Defaults to `"Increase of the loss"`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    settings = {"xlabel": "Radius", "xscale": "log", "yscale": "log"}
    return _panels(frame, "radius", column, label, settings, marker="o")


def _panels(frame, x, y, label, settings, **line):
    networks = list(dict.fromkeys(frame["network"]))
    figure, panels = plt.subplots(
        1,
        len(networks),
        figsize=(4.2 * len(networks), 3.6),
        squeeze=False,
        layout="constrained",
    )
    for axes, network in zip(panels[0], networks, strict=True):
        rows = frame[frame["network"] == network]
        axes.set_title(network)
        axes.grid(alpha=0.3)
        _lines(axes, rows, x, y, line)
        axes.set(**settings)
    panels[0][0].set_ylabel(label)
    _legend(figure, *panels[0][0].get_legend_handles_labels())
    return figure


def _legend(figure, handles, labels):
    """Draws one legend under all panels, in as many rows as needed."""
    width, height = figure.get_size_inches()
    column = 0.7 + 0.09 * max(map(len, labels))  # inches, at the default font size
    ncols = min(len(labels), max(1, int(width / column)))
    figure.set_size_inches(width, height + 0.2 * (math.ceil(len(labels) / ncols) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols)


def _lines(axes, frame, x, y, line):
    looks = itertools.cycle(zip(itertools.cycle(_STYLES), _COLORS, strict=False))
    for (optimizer, runs), (style, color) in zip(
        frame.groupby("optimizer", sort=False), looks, strict=False
    ):
        points = [(value, *mean_interval(g[y])) for value, g in runs.groupby(x)]
        values, mean, width = np.array(points).T
        axes.plot(values, mean, style, color=color, label=optimizer, **line)
        axes.fill_between(values, mean - width, mean + width, color=color, alpha=0.15)
