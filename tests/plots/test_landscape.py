"""Landscapes are drawn on shared axes, levels and colors."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lrlearn import plots

STEPS = np.linspace(-1, 1, 9)


@pytest.fixture(autouse=True)
def close():
    """Closes all figures."""
    yield
    plt.close("all")


def bowl(factor=1.0, offset=0.0, **columns):
    """Returns a frame of factor (alpha^2 + 4 beta^2) + offset."""
    alpha, beta = (a.ravel() for a in np.meshgrid(STEPS, STEPS))
    loss = factor * (alpha**2 + 4 * beta**2) + offset
    return pd.DataFrame({"alpha": alpha, "beta": beta, "loss": loss, **columns})


def contours(axes):
    """Returns the filled contours and the lines of a panel."""
    return axes.collections[0], axes.collections[1]


def test_panels_share_axes_levels_and_colors():
    """Each optimizer has a panel, in order of appearance, with its own contours."""
    names = ["b", "a", "d", "c"]
    frames = [bowl(i + 1.0, 0.1, optimizer=name) for i, name in enumerate(names)]
    frames[1][["alpha", "beta"]] *= 0.5
    figure = plots.loss_landscape(pd.concat(frames))
    *panels, bar = figure.axes
    assert [axes.get_title() for axes in panels] == names
    assert bar.get_ylabel() == "Loss"
    levels = contours(panels[0])[0].levels
    assert levels[0] <= 0.1 and levels[-1] >= 20.1  # All losses have a color.
    for axes in panels:
        assert (axes.get_xlim(), axes.get_ylim()) == ((-1, 1), (-1, 1))
        for drawn in contours(axes):
            np.testing.assert_array_equal(drawn.levels, levels)
        assert contours(axes)[0].get_clim() == (levels[0], levels[-1])
    np.testing.assert_allclose(bar.get_yticks(), levels)


def test_contours_are_where_the_losses_are():
    """On the line at 1 of a narrow bowl, alpha^2 + 4 beta^2 is 1."""
    figure = plots.loss_landscape(bowl(offset=-1.0))
    filled, lines = contours(figure.axes[0])
    (index,) = np.flatnonzero(np.isclose(lines.levels, 0.0))
    alpha, beta = lines.get_paths()[index].vertices.T
    np.testing.assert_allclose(alpha**2 + 4 * beta**2, 1.0, atol=0.1)
    assert np.abs(alpha).max() > 1.5 * np.abs(beta).max()


@pytest.mark.parametrize(
    ("offset", "factor", "logarithmic"),
    [(0.01, 1.0, True), (1e-9, 1.0, True), (1.0, 1e9, True), (9.0, 1.0, False)]
    + [(0.0, 1.0, False), (-0.5, 1.0, False), (1.0, 0.0, False), (0.0, 0.0, False)],
)
def test_levels(offset, factor, logarithmic):
    """A few round numbers around all losses, logarithmic where these are spread out."""
    figure = plots.loss_landscape(bowl(factor, offset))
    filled, _ = contours(figure.axes[0])
    assert isinstance(filled.norm, matplotlib.colors.LogNorm) == logarithmic
    low, *between, high = filled.levels
    assert low <= offset and 5 * factor + offset <= high
    assert 1 <= len(between) <= 12
    for level in filled.levels:
        assert float(f"{level:.4g}") == pytest.approx(level, abs=1e-12)
    assert (np.diff(filled.levels) > 1e-3 * offset).all()
    figure.canvas.draw()


def test_losses_that_are_not_finite_are_masked_and_said():
    """In their panel; the levels are those of the others."""
    frame = bowl(1.0, 1.0, optimizer="a")
    broken = frame.assign(optimizer="b")
    broken.loc[:2, "loss"] = [np.nan, np.inf, -np.inf]
    figure = plots.loss_landscape(pd.concat([frame, broken]))
    sound, hatched = figure.axes[:2]
    assert not sound.patch.get_hatch() and hatched.patch.get_hatch()
    said = [[text.get_text() for text in axes.texts] for axes in (sound, hatched)]
    assert "hatched: not finite" in said[1] and "hatched: not finite" not in said[0]
    assert np.isfinite(contours(hatched)[0].levels).all()
    figure.canvas.draw()


def test_no_finite_loss_cannot_be_drawn():
    """One line says so."""
    with pytest.raises(ValueError, match="`frame` must hold a finite loss"):
        plots.loss_landscape(bowl().assign(loss=np.nan))


@pytest.mark.parametrize("count", [1, 3, 7])
def test_any_number_of_panels(count):
    """No empty panel is left, and those at the bottom and left name the axes."""
    frames = [bowl(optimizer=str(i)) for i in range(count)]
    figure = plots.loss_landscape(pd.concat(frames))
    figure.canvas.draw()
    *panels, _ = figure.axes
    assert len(panels) == count
    assert panels[0].get_ylabel() == "beta" and panels[-1].get_xlabel() == "alpha"
