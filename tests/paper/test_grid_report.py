"""The report comes out sound of any part of a grid, and says what is missing."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from paper.grid.grid import GRIDS, Grid
from paper.report import figures
from paper.report.frames import frames
from paper.report.report import write
from tests.paper.grid_rows import EFFECTS, make_rows

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
    names = {"datasets": ("mnist", "cifar10"), "networks": ("mlp",)}
    return make_rows(**names, **PART, noise=0.0)


@pytest.fixture(scope="module")
def sections(rows, tmp_path_factory):
    return report(rows, tmp_path_factory.mktemp("report"))


def test_the_first_screen(sections):
    text = sections["Report of the grid"]
    assert "**Verdicts are provisional**" in text
    assert rows_of(text, "claim") == [["LSTM small"]]
    # LO SAM, GSAM and GAM have 3 points on average, explicit SAM 3.3; the tasks show
    # 1 and 1.5 times as much.
    points = 1.25 * (3.0 - EFFECTS["LSTM none"][0])
    assert rows_of(text, "1. generalization") == [
        [f"holds {points:+.1f} [{points:.1f}, {points:.1f}]"]
    ]
    ((worse,),) = rows_of(text, "minus explicit SAM")
    assert worse.startswith("does not hold -0.4 [")
    ((flat,),) = rows_of(text, "2. flatness")
    ratio = r"0\.\d\d \[0\.\d\d, 0\.\d\d\]"
    assert re.fullmatch(f"holds relative 0.02: {ratio}; fixed 0.05: {ratio}", flat)
    assert "0 runs diverged" in text


def test_sentences_that_must_be_there(sections):
    assert "only the comparison at matched training loss is fair" in (
        sections["Sharpness"].replace("\n", " ")
    )
    along = sections["Sharpness along training"].replace("\n", " ")
    assert "the gap is the radius times the gradient norm" in along
    assert "JPEG" in sections["Limits"]
    assert "lr 0.01" in sections["All tasks together"]


def test_runs_that_did_not_learn_are_counted(rows, sections, tmp_path):
    assert "did not learn" not in sections["Report of the grid"]
    runs = [dict(row) for row in rows if row["kind"] == "run"]
    for row in runs:
        stuck = row["cell"]["optimizer"] in ("Adam", "LSTM SAM")
        row["end"] = {**row["end"], "test_accuracy": 0.119 if stuck else 0.121}
    text = report(runs, tmp_path)["Report of the grid"]
    # 2 tasks and 2 seeds; LSTM SAM has 2 meta-seeds
    assert "12 runs, 8 of them of learned optimizers, did not learn" in text
    assert "MNIST MLP† small 6, CIFAR-10 (JPEG copy) MLP small 6" in text
    assert "By optimizer: Adam 4, LSTM SAM 8." in text


def test_limits_follow_from_the_rows(tmp_path):
    rows = make_rows(**SMALL, **PART, seeds=1)
    for row in rows:
        if row["kind"] == "tuning" and row["cell"]["optimizer"] == "Adam":
            row["chosen"] = {"learning_rate": 0.001}
    limits = report(rows, tmp_path)["Limits"]
    text = limits.replace("\n", " ")
    assert "Of 9 tunings, 1 chose the lowest and 8 the highest learning rate" in text
    assert "Lowest: Adam 1; highest: SGD-M 1, RMSprop 1, Adam-EMA 1, AdamW 1," in text
    # No more than there are: 1,024 are asked for.
    (row,) = rows_of(limits, "MNIST MLP†")
    assert row == ["small", "100", "1000", "0.2", "64", "1000", "10", "1000", "100"]
    # 0.99 ** 100
    assert "After 100 steps, 37 % of the average of Adam-EMA are the initial" in text


def test_without_adam_there_are_no_targets(tmp_path):
    rows = make_rows(**SMALL, **PART, baselines=("SGD-M",))
    sections = report(rows, tmp_path)
    assert "Time to a target" not in sections
    assert not any("Targets:" in text for text in sections.values())


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
    paths = write(make_rows(**SMALL, **PART), tmp_path)
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(paths) == found and len(paths) == 2 + 6
    text = (tmp_path / "REPORT.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "### Loss landscapes" in text
    assert "(figures/landscapes_small_mnist_mlp_lstm.png)" in text
    assert page.count("data:image/png;base64,") == 6
    assert 'src="figures' not in page and "<script" not in page
    assert plt.get_fignums() == before


def test_landscapes_are_of_one_run_of_each_optimizer_shown():
    planes = frames(make_rows(**SMALL, **PART)).landscapes
    figure = figures.landscape(planes, "LSTM")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    teachers = ["none", "SAM", "GSAM", "GAM"]
    assert titles == ["Adam", "SGD-M", "SAM", *(f"LSTM {t}" for t in teachers)]
    others = planes[planes["meta_seed"] != 0]
    assert len(figures.landscape(others, "LSTM").axes) == len(figure.axes)
    nowhere = planes.assign(loss=np.nan)
    assert figures.landscape(nowhere, "LSTM") is None
    plt.close("all")


def test_cifar10_is_named_as_it_is(tmp_path):
    axes = {**SMALL, "datasets": ("cifar10",), "explicit": (), "rules": ()}
    rows = make_rows(**axes, regimes=("small",), jpeg=False)
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
    some = make_rows(**SMALL, **PART, teachers=("none",), explicit=())
    rows = [row for row in some if row["kind"] == "run"]
    first = report(rows, tmp_path)["Report of the grid"]
    assert "0 meta-trainings and 0 tunings" in first


def test_a_store_without_runs(tmp_path):
    with pytest.raises(ValueError, match="must hold a run"):
        write([], tmp_path)


def test_diverged_runs_count_and_are_marked(tmp_path):
    rows = make_rows(**SMALL, **PART)
    for row in rows:
        if row["kind"] == "run" and row["cell"]["optimizer"] == "LSTM SAM":
            row["diverged"] = True
            last = row["records"][-1]
            last["train_loss"] = float("nan")
            row["end"]["test_accuracy"] = 0.1
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
    rows = make_rows(**SMALL, regimes=("small",), rules=(), explicit=())
    runs = [row for row in rows if row["kind"] == "run"]
    longer = {**runs[0], "key": "longer", "cell": {**runs[0]["cell"], "steps": 200}}
    text = report([*rows, longer], tmp_path)["Limits"]
    assert "1 runs of other lengths" in text
