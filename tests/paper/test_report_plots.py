"""Panels of lines and effects: what is drawn, and that it can be read."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from paper.report import plots

ORDER = ["Adam", "Adam linear", "SGD-M", "SAM"]
ORDER += ["LO none", "LO SAM", "LO GSAM", "LO GAM"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def lines(rows=("a", "b"), columns=("x", "y"), order=ORDER):
    keys = itertools.product(rows, columns, order, (0, 10, 20))
    frame = pd.DataFrame(keys, columns=["row", "column", "optimizer", "x"])
    mean = np.random.default_rng(0).uniform(0.1, 1, len(frame))
    return frame.assign(mean=mean, half=0.05)


def overlaps(figure):
    """Pairs of texts that lie on each other."""
    figure.canvas.draw()
    texts = [t for axes in figure.axes for t in _texts(axes)]
    texts += figure.legends[0].get_texts()
    boxes = [t.get_window_extent() for t in texts if t.get_text()]
    return [
        pair for pair in itertools.combinations(boxes, 2) if pair[0].overlaps(pair[1])
    ]


def _texts(axes):
    """Labels of axes, and those of ticks within their limits."""
    low, high = axes.get_xlim()
    x = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
    low, high = sorted(axes.get_ylim())
    y = [t for t in axes.get_yticklabels() if low <= t.get_position()[1] <= high]
    return [axes.title, axes.xaxis.label, axes.yaxis.label, *x, *y]


def test_lines_are_the_means_and_look_different():
    data = lines()
    figure = plots.line_panels(data, ORDER, log=True)
    assert len(figure.axes) == 4
    for axes, (row, column) in zip(
        figure.axes, itertools.product("ab", "xy"), strict=True
    ):
        panel = data[(data["row"] == row) & (data["column"] == column)]
        drawn = {line.get_label(): line for line in axes.get_lines()}
        assert set(drawn) == set(ORDER)
        for name, line in drawn.items():
            rows = panel[panel["optimizer"] == name]
            np.testing.assert_array_equal(line.get_xdata(), rows["x"])
            np.testing.assert_array_equal(line.get_ydata(), rows["mean"])
        for look in ("get_color", "get_marker"):
            assert len({getattr(line, look)() for line in drawn.values()}) == 8
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ORDER


def test_bands_are_the_intervals():
    data = lines(("a",), ("x",), ORDER[:1])
    (axes,) = plots.line_panels(data, ORDER, log=True).axes
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.max() == pytest.approx(data["mean"].max() + 0.05)
    assert heights.min() == pytest.approx(data["mean"].min() - 0.05)


def test_an_optimizer_looks_the_same_whatever_else_is_drawn():
    def look(order):
        figure = plots.line_panels(lines(order=order), ORDER, log=True)
        lines_ = figure.axes[0].get_lines()
        return {line.get_label(): line.get_color() for line in lines_}

    assert look(["LO SAM", "SAM"]).items() <= look(ORDER).items()


def test_axes_are_logarithmic_where_they_can_be():
    def scale(data, log=True):
        return plots.line_panels(data, ORDER, log=log).axes[0].get_yscale()

    assert scale(lines()) == "log" and scale(lines(), log=False) == "linear"
    assert scale(lines().assign(mean=-1.0)) == "linear"
    some = lines()
    some.loc[0, "mean"] = 0.0
    assert scale(some) == "linear"


@pytest.mark.parametrize("high", [2, 20, 1e4])
def test_logarithmic_axes_have_a_few_plain_numbers(high):
    data = lines(("a",), ("x",))
    data["mean"] = 0.01 * high ** (data["x"] / 20)
    (axes,) = plots.line_panels(data, ORDER, log=True).axes
    low, top = axes.get_ylim()
    ticks = axes.yaxis.get_ticklabels(which="both")
    shown = [t for t in ticks if low <= t.get_position()[1] <= top and t.get_text()]
    assert 2 <= len(shown) <= 7
    for tick in shown:
        assert tick.get_text() == f"{tick.get_position()[1]:g}"


def test_runs_that_diverged_leave_gaps_and_do_not_squeeze_the_others():
    data = lines(("a",), ("x",))
    data.loc[0, ["mean", "half"]] = np.inf, np.nan
    data.loc[4, "mean"] = 1e6
    (axes,) = plots.line_panels(data, ORDER, log=True).axes
    axes.figure.canvas.draw()
    assert axes.get_ylim()[1] < 100
    everywhere = data.assign(mean=np.inf, half=np.nan)
    plots.line_panels(everywhere, ORDER, log=True).canvas.draw()


@pytest.mark.parametrize("rows, columns", [("a", "x"), ("abc", "wxyz")])
@pytest.mark.parametrize("high", [1.3, 20.0, 1e5])
def test_no_label_lies_on_another(rows, columns, high):
    data = lines(rows, columns)
    mean = np.geomspace(1e-3, 1e-3 * high, len(data))
    figure = plots.line_panels(data.assign(mean=mean), ORDER, log=True)
    assert overlaps(figure) == []


def test_linear_axes_show_where_lines_end():
    data = lines(("a",), ("x",), ORDER[:2])
    data["mean"] = [10.0, 90.0, 95.0, 10.0, 88.0, 93.0]
    (axes,) = plots.line_panels(data, ORDER).axes
    low, high = axes.get_ylim()
    assert 80 < low < 93 and 95 < high < 96
    rising = data.assign(mean=[10.0, 20.0, 30.0, 11.0, 21.0, 12.0])
    (axes,) = plots.line_panels(rising, ORDER).axes
    assert axes.get_ylim()[0] < 10


PANELS = {
    "points": {"title": "Accuracy", "xlabel": "Points", "center": 0, "margin": (-1, 1)},
    "ratio": {
        **{"title": "Flatness", "xlabel": "Ratio", "center": 1, "margin": (0.9, 1.1)},
        "log": True,
    },
}


def effects(panels=tuple(PANELS)):
    tasks = ["Fashion-MNIST MLP-ReLU", "CIFAR-10 (JPEG copy) MLP-ReLU", "MNIST CNN†"]
    keys = itertools.product(panels, tasks, ORDER[4:])
    frame = pd.DataFrame(keys, columns=["panel", "row", "series"])
    mean = np.random.default_rng(0).uniform(0.5, 3, len(frame))
    return frame.assign(mean=mean, low=mean / 2, high=mean + 2)


@pytest.mark.parametrize("across", [True, False])
def test_effects_and_their_intervals(across):
    data = effects()
    figure = plots.forest(data, ORDER, PANELS, width=9.0, across=across)
    assert len(figure.axes) == 2 and overlaps(figure) == []
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ORDER[4:]
    axes = figure.axes[1]
    assert axes.get_title(loc="left") == "Flatness" and axes.get_xscale() == "log"
    (drawn,) = (c for c in axes.containers if c.get_label() == "LO GAM")
    rows = data[(data["panel"] == "ratio") & (data["series"] == "LO GAM")]
    np.testing.assert_allclose(drawn[0].get_xdata(orig=False), rows["mean"])
    ends = [segment[:, 0] for segment in drawn[2][0].get_segments()]
    np.testing.assert_allclose(ends, rows[["low", "high"]])
    assert list(np.round(drawn[0].get_ydata(orig=False))) == [0, 1, 2]


def test_panels_without_effects_are_not_drawn():
    assert len(plots.forest(effects(["points"]), ORDER, PANELS).axes) == 1
