"""The report comes out sound of any part of a grid, and says what is missing."""

import math
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from lrlearn.experiments.grid.grid import GRIDS, Grid
from lrlearn.experiments.grid_report.report import write
from tests.experiments.grid_rows import make_rows

SMALL = {"datasets": ("mnist",), "networks": ("mlp",), "records": 4}
PART = {"regimes": ("small",), "rules": ("LSTM",)}


def report(rows, directory):
    """The sections of the Markdown by their headings."""
    write(rows, directory)
    text = (directory / "REPORT.md").read_text()
    parts = re.split(r"^#+ (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows_of(text, first):
    """The cells of the table rows that begin with a name."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return [line[1:] for line in lines if line[0] == first]


@pytest.fixture(scope="module")
def rows():
    names = {"datasets": ("mnist", "cifar10"), "networks": ("mlp", "mlp_relu")}
    return make_rows(**names, regimes=("small",), rules=("LSTM",), noise=0.0)


@pytest.fixture(scope="module")
def sections(rows, tmp_path_factory):
    return report(rows, tmp_path_factory.mktemp("report"))


def test_the_first_screen(sections):
    text = sections["Report of the grid"]
    assert "**Verdicts are provisional**" in text
    # GAIN's mean of SAM, GSAM and GAM is 2 points.
    assert rows_of(text, "claim") == [["LSTM small"]]
    assert rows_of(text, "1. generalization") == [["holds +2.0 [2.0, 2.0]"]]
    assert rows_of(text, "minus the best tuned baseline") == [["holds +1.0 [1.0, 1.0]"]]
    ((flat,),) = rows_of(text, "2. flatness")
    assert re.match(r"holds relative 0.02: 0.5\d \[.*\]; fixed 0.05: 0.5\d", flat)
    assert "0 runs diverged" in text


def test_accuracies(sections):
    text = sections["Regime `small`"]
    header, *_ = rows_of(text, "optimizer")
    assert header == [
        "MNIST MLP†",
        "MNIST MLP-ReLU†",
        "CIFAR-10 (JPEG copy) MLP",
        "CIFAR-10 (JPEG copy) MLP-ReLU",
    ]
    accuracy, above_none, above_best, above_sam, *_ = rows_of(text, "LSTM GAM")
    assert all(cell.startswith("**") for cell in accuracy)
    assert above_none == ["+3.0 [3.0, 3.0]"] * 5
    assert above_best == ["+2.0 [2.0, 2.0]"] * 5
    assert above_sam == above_none
    assert "Best tuned baseline, by validation accuracy: MNIST MLP† SGD-M" in text


def test_matched_ratios_with_their_pairs(sections):
    cells = rows_of(sections["Sharpness"], "LSTM SAM")
    raw, to_none, to_adam = cells[:3]
    assert len(raw) == 4 and len(to_none) == len(to_adam) == 5
    for cell in to_none + to_adam:
        assert re.fullmatch(r"0.5\d \[0.5\d, 0.5\d\] \((\d+)/\1\)", cell), cell
    # 2 meta-seeds and 2 seeds; 4 tasks
    assert to_none[0].endswith("(4/4)") and to_none[-1].endswith("(16/16)")
    assert len(cells[-1]) == 7  # all balls


def test_raw_sharpness_is_that_at_the_end(sections):
    raw, *_ = rows_of(sections["Sharpness"], "LSTM SAM")
    # The increase is 0.5 radius sqrt(loss), with losses of two speeds at the end.
    losses = [2.3 * math.exp(-3 * speed) for speed in (1.0, 1.1)]
    increase = sum(0.5 * 0.05 * loss**0.5 for loss in losses) / 2
    assert [cell.split()[0] for cell in raw] == [f"{increase:.3g}"] * 4


def test_time_to_target(tmp_path):
    rows = make_rows(**SMALL, **{**PART, "rules": ()}, seeds=3, noise=0.0)
    text = report(rows, tmp_path)["Time to a target"]
    assert "CPU seconds are shares" in text
    # Losses at step 67 of 100, the record before the last one, are 2.3 exp(-2.01
    # speed); speeds 1, 1.1 and 1.2. The target is 1.05 times that of the second.
    assert f"Targets: MNIST MLP {1.05 * 2.3 * math.exp(-2.01 * 1.1):.3g}." in text
    assert rows_of(text, "Adam") == [["67 (2/3)"], ["67 (2/3)"], ["0.67 (2/3)"]]
    assert rows_of(text, "SAM") == [["67 (2/3)"], ["134 (2/3)"], ["0.67 (2/3)"]]


def test_targets_that_most_runs_miss_are_never_reached(sections):
    steps, *_ = rows_of(sections["Time to a target"], "SAM")
    assert steps == ["never (1/2)"] * 4


def test_sentences_that_must_be_there(sections):
    assert "only the comparison at matched training loss is fair" in (
        sections["Sharpness"].replace("\n", " ")
    )
    along = sections["Sharpness along training"].replace("\n", " ")
    assert "the gap is the radius times the gradient norm" in along
    assert "JPEG" in sections["Limits"]
    assert "lr 0.01" in sections["All tasks together"]


def test_costs_are_sums(sections, rows):
    runs = sum(row["kind"] == "run" for row in rows)
    tunings = sum(row["kind"] == "tuning" for row in rows)
    metas = len(rows) - runs - tunings
    total = 2 * runs + 4 * tunings + 50 * metas
    text = sections["Budgets and costs"]
    assert rows_of(text, "all") == [[str(len(rows)), str(total)]]


def test_provenance(sections, rows):
    text = sections["Provenance"]
    for part in ("0123456789", "2026-01-01", "keras 3", "Grid: made_up"):
        assert part in text
    key = re.search(r"--grid=made_up --store=DIR --verify=(\S+)", text)[1]
    assert key in {row["key"] for row in rows if row["kind"] == "run"}
    assert "python -m binaries.report --store=" in text


def test_files(tmp_path):
    before = plt.get_fignums()
    landscape = tmp_path / "landscape" / "landscape.png"
    landscape.parent.mkdir()
    figure = plt.figure(figsize=(1, 1))
    figure.savefig(landscape)
    plt.close(figure)
    paths = write(make_rows(**SMALL, **PART), tmp_path)
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(paths) == found - {landscape} and len(paths) == 2 + 5
    text = (tmp_path / "REPORT.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "## Loss landscapes" in text and "(landscape/landscape.png)" in text
    assert page.count("data:image/png;base64,") == 6
    assert 'src="figures' not in page and "<script" not in page
    assert plt.get_fignums() == before


def test_cifar10_is_named_as_it_is(tmp_path):
    rows = make_rows(**{**SMALL, "datasets": ("cifar10",)}, **PART, jpeg=False)
    write(rows, tmp_path)
    text = (tmp_path / "REPORT.md").read_text()
    assert "CIFAR-10 MLP" in text and "JPEG" not in text


@pytest.mark.parametrize(
    "part",
    [
        {"meta_seeds": 1, "seeds": 1},
        {"rules": ()},
        {"baselines": ()},
        {"baselines": (), "explicit": ()},
        {"teachers": ("SAM",)},
        {"rules": ("MLP",), "baselines": ("RMSprop",)},
    ],
    ids=str,
)
def test_any_part_of_a_grid(tmp_path, part):
    rows = make_rows(**SMALL, **{**PART, **part})
    text = "".join(report(rows, tmp_path).values())
    assert "nan" not in text.lower().replace("nance", "")


def test_only_runs(tmp_path):
    rows = [row for row in make_rows(**SMALL, **PART) if row["kind"] == "run"]
    assert (
        "0 meta-trainings and 0 tunings" in report(rows, tmp_path)["Report of the grid"]
    )


def test_a_store_without_runs(tmp_path):
    with pytest.raises(ValueError, match="must hold a run"):
        write([], tmp_path)


def test_diverged_runs_count_and_are_marked(tmp_path):
    rows = make_rows(**SMALL, **PART)
    for row in rows:
        if row["kind"] == "run" and row["cell"]["optimizer"] == "LSTM SAM":
            row["diverged"] = True
            last = row["records"][-1]
            last |= {"train_loss": float("nan"), "test_accuracy": 0.1}
            for ball in last["sharpness"]:
                ball |= {"clean_loss": float("nan"), "increase": float("nan")}
    sections = report(rows, tmp_path)
    assert "4 runs diverged: LSTM SAM 4" in sections["Report of the grid"]
    accuracy, gain, *_ = rows_of(sections["Regime `small`"], "LSTM SAM")
    assert accuracy[0].startswith("10.0") and accuracy[0].endswith("‡")
    assert float(gain[0].split()[0]) < -60
    assert "∞ ‡" in sections["Regime `small`"]


def test_missing_runs_are_listed(tmp_path, monkeypatch):
    grid = Grid(
        "made_up",
        datasets=("mnist",),
        networks=("mlp",),
        regimes=("small",),
        horizons=(("*", (100,)),),
        optimizers=("Adam", "SAM", "LSTM none"),
        meta_seeds=2,
        seeds=2,
    )
    monkeypatch.setitem(GRIDS, "made_up", grid)
    rows = make_rows(
        **SMALL,
        **PART,
        baselines=("Adam",),
        explicit=("SAM",),
        teachers=("none",),
    )
    whole = report(rows, tmp_path)
    assert "8 of 8 runs" in whole["Report of the grid"]
    assert "All 8 runs of the grid are there" in whole["Limits"]
    lacking = [row for row in rows if row["cell"].get("seed") != 1]
    some = report(lacking, tmp_path)
    assert "4 of 8 runs" in some["Report of the grid"]
    assert "Missing: 4 runs" in some["Report of the grid"]
    assert "of each of Adam, SAM: MNIST MLP† small (1)" in some["Limits"]
    assert "of each of LSTM none: MNIST MLP† small (2)" in some["Limits"]


def test_other_horizons_are_left_out_and_said(tmp_path):
    rows = make_rows(**SMALL, **PART)
    runs = [row for row in rows if row["kind"] == "run"]
    longer = {**runs[0], "key": "longer", "cell": {**runs[0]["cell"], "steps": 200}}
    text = report([*rows, longer], tmp_path)["Limits"]
    assert "1 runs of other lengths" in text
