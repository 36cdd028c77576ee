"""The dial: accuracy in one regime over that in the other, against L2's."""

import numpy as np
import pytest

from paper.grid.optimizers import DIAL
from paper.report import dial, figures
from paper.report.study import Study
from tests.paper.dial_rows import FULL, SMALL, make_dial_rows
from tests.paper.grid_rows import make_rows

TASKS = ["mnist/mlp", "mnist/mlp_relu"]


@pytest.fixture(name="study", scope="module")
def _study():
    return Study(make_dial_rows())


@pytest.fixture(name="values", scope="module")
def _values(study):
    tasks, values = dial.accuracies(study)
    assert tasks == TASKS
    return values


def test_accuracies_are_in_their_places(values):
    assert values.shape == (2, len(DIAL), 2, 2, 2, 2)
    base = values[..., 0, 0]
    for i, teacher in enumerate(dial.TEACHERS):
        np.testing.assert_allclose(base[i, :, 0, 0], FULL)
        np.testing.assert_allclose(base[i, :, 1, 1], SMALL[teacher])
    np.testing.assert_allclose(values[..., 1, 0] - base, 3)
    np.testing.assert_allclose(values[..., 0, 1] - base, 5)


def test_the_table_has_means(values):
    table = dial.table(values)
    assert table["teacher"].tolist() == ["SAM"] * len(DIAL) + ["L2"] * len(DIAL)
    first = table.iloc[0]  # of meta-seeds 0 and 1, and seeds 0 and 1
    assert (first["dial"], first["full"], first["small"]) == ("0", "94.0", "74.0")


def test_the_gap_is_that_of_the_curves(values):
    """At setting r SAM has 70 + 2 r and L2 69 + r: 1 more at the start, 5 at 4."""
    mean, low, high = dial.gap(values)
    assert mean == pytest.approx(3.0, abs=0.05)
    # What seeds and meta-seeds share moves both curves alike, along and across.
    assert high - low < 1e-6


def test_a_curve_is_the_best_that_leaves_as_much():
    """A setting that is worse in both regimes takes nothing away."""
    values = np.zeros([2, 3, 2, 1, 1, 1])
    values[0, :, 0, 0, 0, 0], values[0, :, 1, 0, 0, 0] = [90, 88, 80], [70, 80, 60]
    values[1, :, 0, 0, 0, 0], values[1, :, 1, 0, 0, 0] = [90, 88, 80], [70, 80, 80]
    assert dial.gap(values).mean == pytest.approx(0.0, abs=1e-9)
    values[0, 1, 1] = 82
    assert 1.0 < dial.gap(values).mean < 2.0


def test_seeds_move_the_interval():
    rng = np.random.default_rng(0)
    values = np.zeros([2, 2, 2, 1, 5, 5])
    values[:, :, 0] = np.array([90.0, 80.0])[:, None, None, None]
    values[:, :, 1] = np.array([70.0, 80.0])[:, None, None, None]
    values[0, :, 1] += 1 + rng.normal(0, 2, size=(5, 1))
    mean, low, high = dial.gap(values)
    assert low < mean < high and high - low > 0.5


@pytest.mark.parametrize("without", [f"MLP SAM {DIAL[2]:g}", "MLP L2 0"])
@pytest.mark.parametrize(
    "what", [{}, {"seed": 1}, {"meta_seed": 1}, {"regime": "full"}]
)
def test_tasks_that_lack_a_run_do_not_count(without, what):
    lacking = {"optimizer": without, "network": "mlp", **what}.items()
    rows = [row for row in make_dial_rows() if not lacking <= row["cell"].items()]
    tasks, values = dial.accuracies(Study(rows))
    assert tasks == ["mnist/mlp_relu"] and np.isfinite(values).all()


def test_no_dial_was_turned():
    study = Study(make_rows(datasets=("mnist",), networks=("mlp",)))
    assert dial.accuracies(study) is None and dial.draw(study) is None


def test_the_figure_has_both_curves_and_the_baselines(study):
    (axes,) = dial.draw(study).axes
    curves = axes.get_lines()
    assert [line.get_label() for line in curves] == [
        "MLP-LO + SAM",
        "MLP-LO + L2",
        "best tuned baseline of each task",
    ]
    np.testing.assert_allclose(curves[0].get_xdata(), FULL + 4)
    np.testing.assert_allclose(curves[0].get_ydata(), SMALL["SAM"] + 4)


def test_the_gap_is_judged(values):
    """As effects are: 3 points, whatever is resampled; with one seed, too few runs."""
    found = dial.judged(values)
    assert found.interval.mean == pytest.approx(3.0, abs=0.05)
    assert (found.verdict, found.provisional) == ("holds", True)
    assert dial.judged(values[::-1]).verdict == "does not hold"
    assert dial.judged(values[..., :1]).verdict == "too few runs"


def test_the_figure_is_one_of_the_reports(study, tmp_path, monkeypatch):
    for name in ("hero", "effects", "transfer", "profiles", "along", "landscape"):
        monkeypatch.setattr(figures, name, lambda *args: None)
    written = figures.write(study, [], tmp_path)
    assert written == [{"kind": "dial", "file": "dial.svg"}]
    assert "Test accuracy in small" in (tmp_path / "dial.svg").read_text()
