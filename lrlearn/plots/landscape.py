"""Contours of loss landscapes."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import colors, patheffects, ticker

_OUTLINE = [patheffects.withStroke(linewidth=1.5, foreground="white")]
_NOTE = {"fontsize": 8, "bbox": {"facecolor": "white", "linewidth": 0, "pad": 1.5}}
_FACTOR, _MOST_LEVELS = 5, 12
# Round numbers of a decade, from dense to sparse.
_SERIES = (
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8),
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1,),
)


def loss_landscape(frame, label="Loss"):
    """Draws losses on planes through the weights, one panel for each optimizer.

    The panels share their axes, the levels and one color bar. Levels are logarithmic if
    the losses are positive and differ by more than a factor of 5. Points at which the
    loss is not finite are hatched, with a note.

    Args:
        frame: A `pandas.DataFrame` such as `lrlearn.evaluation.loss_landscape` returns,
            with the columns `alpha`, `beta` and `loss`, and `optimizer` if there are
            several panels.
        label: Label of the color bar. Defaults to `"Loss"`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If no loss is finite.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import pandas as pd
        >>> import lrlearn
        >>> model = keras.Sequential([keras.Input([2]), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> table = lrlearn.evaluation.loss_landscape(
        ...     model, np.eye(2), np.ones(2), points=5
        ... )
        >>> figure = lrlearn.plots.loss_landscape(table)
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['alpha', '']
    """
    panels = {"": frame}
    if "optimizer" in frame:
        panels = dict(list(frame.groupby("optimizer", sort=False)))
    levels, norm = _levels(frame["loss"])
    figure, all_axes = _subplots(len(panels))
    for axes, (name, rows) in zip(all_axes, panels.items(), strict=False):
        filled = _draw(axes, rows, levels, norm)
        axes.set_title(name)
    bar = figure.colorbar(filled, ax=all_axes, ticks=levels, label=label, aspect=30)
    bar.ax.minorticks_off()
    bar.ax.yaxis.set_major_formatter("{x:g}")
    return figure


def _levels(losses):
    """Returns the levels, round numbers around all losses, and the colors' scale."""
    finite = losses[np.isfinite(losses)]
    if finite.empty:
        raise ValueError("`frame` must hold a finite loss. Received: none")
    low, high = finite.min(), finite.max()
    if 0 < _FACTOR * low < high:
        levels, scale = _logarithmic_levels(low, high), colors.LogNorm
    else:
        # Losses that are equal up to rounding errors need a range around them.
        margin = 0.1 * (abs(low) or 1) if np.isclose(low, high, atol=0) else 0
        levels = ticker.MaxNLocator(10).tick_values(low - margin, high + margin)
        scale = colors.Normalize
    return levels, scale(levels[0], levels[-1])


def _logarithmic_levels(low, high):
    """Returns the densest series of round numbers that is not too dense."""
    exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    for series in _SERIES:
        levels = np.outer(10.0**exponents, series).ravel()
        last = np.searchsorted(levels, high)
        levels = levels[np.searchsorted(levels, low, "right") - 1 : last + 1]
        if len(levels) <= _MOST_LEVELS:
            break
    return levels


def _subplots(count):
    columns = count if count < 4 else math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(2.3 * columns + 1.2, 2.4 * rows + 0.3),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
        subplot_kw={"box_aspect": 1},
    )
    for axes in grid.flat[count:]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("beta")
    for axes in grid.flat[max(count - columns, 0) : count]:
        axes.set_xlabel("alpha")
        axes.tick_params(labelbottom=True)
    return figure, grid.flat[:count]


def _draw(axes, frame, levels, norm):
    """Draws one panel and returns its filled contours."""
    table = frame.pivot(index="beta", columns="alpha", values="loss")
    points = table.columns, table.index, np.ma.masked_invalid(table)
    filled = axes.contourf(*points, levels=levels, norm=norm, cmap="cividis")
    lines = axes.contour(*points, levels=levels, colors="black", linewidths=0.6)
    texts = axes.clabel(lines, fontsize=8, fmt="%g", inline_spacing=1)
    plt.setp(texts, path_effects=_OUTLINE)
    axes.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=1.5)
    if points[-1].mask.any():
        axes.patch.set(hatch="////", facecolor="0.9", edgecolor="0.6")
        axes.text(0.03, 0.03, "hatched: not finite", transform=axes.transAxes, **_NOTE)
    return filled
