"""The report's files: all figures are there, shown, and of what they say."""

import html.parser

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from paper.report import figures, labels, report
from paper.report.study import Study
from tests.paper.grid_rows import make_rows

SMALL = {"datasets": ("mnist",), "networks": ("mlp",), "records": 4}
PART = {"regimes": ("small",), "rules": ("LSTM",)}
FEW = {
    "baselines": ("SGD-M", "Adam"),
    "explicit": ("SAM",),
    "teachers": ("none", "SAM"),
}
DECAYED = {"baselines": ("Adam", "Adam linear", "SGD-M")}


class _Texts(html.parser.HTMLParser):
    """Collects what a page shows, and what it links to."""

    def __init__(self):
        super().__init__()
        self.text, self.links, self.ids, self.inside = "", [], set(), []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        self.links += [found[name] for name in ("src", "href") if name in found]

    def handle_data(self, data):
        self.text += data


OF_A_RULE = ("accuracy_small", "loss_small", "gradient_norm_small", "profiles")
EFFECTS_DRAWN = {"hero.png", "effects.svg", "transfer.svg"}


@pytest.mark.parametrize(
    "rows, rule, others",
    [
        (lambda: make_rows(**SMALL, **PART, **FEW), "lstm", EFFECTS_DRAWN),
        (lambda: make_rows(**SMALL, **{**PART, **FEW, "rules": ()}), "mlp", set()),
    ],
    ids=["LSTM", "no rules"],
)
def test_files(rows, rule, others, tmp_path):
    before = plt.get_fignums()
    paths = report.write(rows(), tmp_path, "command")
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert set(paths) == found
    names = {path.name for path in paths}
    assert names == {
        *("REPORT.md", "report.html", f"landscape_small_{rule}.png", *others),
        *(f"{kind}_{rule}.svg" for kind in OF_A_RULE),
    }
    page = _Texts()
    page.feed((tmp_path / "report.html").read_text())
    assert (
        "**" not in page.text and "| " not in page.text and "{" not in page.text[900:]
    )
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids
        else:
            assert (tmp_path / link).exists()
    shown = {link.split("/")[-1] for link in page.links if link.startswith("figures/")}
    assert shown == names - {"REPORT.md", "report.html"}
    assert plt.get_fignums() == before


def test_figures_are_the_same_bytes_each_time(tmp_path):
    study = Study(make_rows(**SMALL, **PART, **DECAYED))
    figure = figures.along(study, "loss", "small", "LSTM")
    assert len(figure.axes[0].get_lines()) == len(figures.shown("LSTM"))
    again = figures.along(study, "loss", "small", "LSTM")
    for name, one in (("a.svg", figure), ("b.svg", again)):
        figures.save(one, tmp_path / name)
    first = (tmp_path / "a.svg").read_text()
    assert first == (tmp_path / "b.svg").read_text() and "LSTM-LO + SAM" in first


def test_the_first_figure_is_of_one_data_set():
    axes = {**PART, **DECAYED, "untuned": ("untrained",), "records": 4}
    rows = make_rows(("cifar10", "mnist"), ("mlp", "cnn"), **axes)
    figure = figures.hero(Study(rows))
    assert [axes.get_title() for axes in figure.axes] == ["MLP", "CNN"]
    assert "MNIST" in figure.get_suptitle() and "CIFAR" not in figure.get_suptitle()
    for axes in figure.axes:
        looks = {(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}
        assert len(looks) == len(axes.get_lines()) == 5
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [
        *("Adam", "Adam, linear decay"),
        *("untrained MLP-LO", "LSTM-LO", "LSTM-LO + SAM"),
    ]
    other = make_rows(**SMALL, **PART, teachers=("L2",))
    assert figures.hero(Study(other)) is None
    assert figures.hero(Study(make_rows(**SMALL, rules=()))) is None
    plt.close("all")


def test_landscapes_are_of_one_run_of_each_optimizer_shown():
    study = Study(make_rows(**SMALL, **PART, **DECAYED))
    figure = figures.landscape(study, "small", "LSTM")
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [labels.OPTIMIZERS[name] for name in figures.shown("LSTM")]
    study.frames.landscapes["loss"] = np.nan
    assert figures.landscape(study, "small", "LSTM") is None
    plt.close("all")
