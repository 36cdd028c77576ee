"""Figures show the means of the runs, every optimizer and network named."""

import matplotlib

matplotlib.use("Agg")

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lrlearn import plots
from lrlearn.evaluation import mean_interval

OPTIMIZERS = [f"optimizer {i}" for i in range(7)]
NETWORKS = ["mlp", "cnn"]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def frame(x, values, column, seeds=3):
    rng = np.random.default_rng(0)
    rows = itertools.product(NETWORKS, OPTIMIZERS, range(seeds), values)
    frame = pd.DataFrame(rows, columns=["network", "optimizer", "seed", x])
    return frame.assign(**{column: rng.uniform(0.1, 1, len(frame))})


def check_lines(figure, frame, x, column):
    """The lines are the means, one for each optimizer, told apart by their looks."""
    assert [axes.get_title() for axes in figure.axes] == NETWORKS
    for axes, network in zip(figure.axes, NETWORKS, strict=True):
        lines = axes.get_lines()
        assert [line.get_label() for line in lines] == OPTIMIZERS
        assert len({(li.get_color(), li.get_linestyle()) for li in lines}) == 7
        for line in lines:
            rows = frame[frame["network"] == network]
            rows = rows[rows["optimizer"] == line.get_label()]
            means = rows.groupby(x)[column].mean()
            np.testing.assert_allclose(line.get_xdata(), means.index)
            np.testing.assert_allclose(line.get_ydata(), means)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == OPTIMIZERS
    check_legend(figure)


def check_bands(figure, frame, x, column):
    """Each line has a band of its color, the 95 % interval of the mean."""
    for axes, network in zip(figure.axes, NETWORKS, strict=True):
        runs = frame[frame["network"] == network]
        for line, band in zip(axes.get_lines(), axes.collections, strict=True):
            color = matplotlib.colors.to_rgb(line.get_color())
            assert tuple(band.get_facecolor()[0][:3]) == pytest.approx(color)
            vertices = band.get_paths()[0].vertices
            optimizer = runs[runs["optimizer"] == line.get_label()]
            for at, values in optimizer.groupby(x)[column]:
                mean, width = mean_interval(values)
                heights = vertices[vertices[:, 0] == at][:, 1]
                np.testing.assert_allclose(
                    [heights.min(), heights.max()], [mean - width, mean + width]
                )


def check_legend(figure):
    """The legend lies in the figure, and off the panels."""
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0
    for axes in figure.axes:
        assert box.y1 <= axes.get_tightbbox().y0


def test_training_curves():
    """Means and bands over steps."""
    data = frame("step", [0, 25, 50], "test_accuracy")
    figure = plots.training_curves(data)
    check_lines(figure, data, "step", "test_accuracy")
    assert figure.axes[0].get_ylabel() == "Test accuracy"
    assert {axes.get_xlabel() for axes in figure.axes} == {"Step"}
    assert figure.axes[0].get_yscale() == "linear"
    check_bands(figure, data, "step", "test_accuracy")


def test_losses_are_on_a_log_scale():
    """By the name of the column."""
    data = frame("step", [0, 25], "train_loss")
    figure = plots.training_curves(data, "train_loss", "Training loss")
    check_lines(figure, data, "step", "train_loss")
    assert figure.axes[1].get_yscale() == "log"
    assert figure.axes[0].get_ylabel() == "Training loss"


def test_sharpness_by_radius():
    """Means and bands over radii, on log scales."""
    data = frame("radius", [0.001, 0.1], "increase")
    figure = plots.sharpness_by_radius(data)
    check_lines(figure, data, "radius", "increase")
    check_bands(figure, data, "radius", "increase")
    for axes in figure.axes:
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert axes.get_xlabel() == "Radius"


def test_bands_that_reach_below_zero_leave_the_log_scale_as_it_is():
    """The limits are those of what is positive."""
    data = frame("radius", [0.001, 0.1], "increase", seeds=2)
    figure = plots.sharpness_by_radius(data)
    bands = [b for axes in figure.axes for b in axes.collections]
    assert any(band.get_paths()[0].vertices[:, 1].min() < 0 for band in bands)
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 1e-3 < low < 0.2 and 1 < high < 100


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_and_diverged_runs_can_be_drawn(seeds):
    """NaN means and widths leave gaps."""
    data = frame("step", [0, 25], "train_loss", seeds)
    data.loc[0, "train_loss"] = np.nan
    figure = plots.training_curves(data, "train_loss", "Training loss")
    figure.canvas.draw()
    assert np.isnan(figure.axes[0].get_lines()[0].get_ydata()[0])


def test_the_legend_of_a_single_panel():
    """It takes as many rows as it needs."""
    data = frame("radius", [0.001, 0.1], "increase", seeds=1)
    check_legend(plots.sharpness_by_radius(data[data["network"] == "cnn"]))
