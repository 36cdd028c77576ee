"""The report comes out sound of any part of a grid, and names what is missing."""

import re

import pytest

from paper.grid.grid import GRIDS, Grid
from paper.grid.optimizers import DIAL
from paper.report import report
from paper.report.claims import CLAIMS, CONTROLS, results
from paper.report.study import Study
from tests.paper.dial_rows import make_dial_rows
from tests.paper.grid_rows import EFFECTS, make_rows

SMALL = {"datasets": ("mnist",), "networks": ("mlp",), "records": 4}
PART = {"regimes": ("small",), "rules": ("LSTM",)}
ADAM = {"baselines": ("Adam",), "explicit": ()}
FEW = {
    "baselines": ("SGD-M", "Adam"),
    "explicit": ("SAM",),
    "teachers": ("none", "SAM"),
}
DIALS = {"networks": ("mlp",), "rules": ("MLP",), "teachers": ("SAM", "L2")}
DIALS |= {"baselines": (), "explicit": (), "records": 3}


def text_of(rows):
    """The report's text, with links to figures that are not drawn."""
    study = Study(rows)
    main = results(study, (*CLAIMS, *CONTROLS))
    drawn = [{"kind": kind, "file": f"{kind}.svg"} for kind in ("effects", "dial")]
    command = "python -m binaries.report"
    return report.render(study, main, drawn, command, "../PROTOCOL.md")


def sections(text):
    """The sections of the Markdown by their headings."""
    parts = re.split(r"^#+ (.*)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows_of(text, first):
    """The cells of the table rows that begin with a name."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines()]
    return [line[1:] for line in lines if line[0] == first]


@pytest.fixture(scope="module")
def rows():
    names = {"datasets": ("mnist", "cifar10"), "networks": ("mlp",), "records": 4}
    hand = {"baselines": ("SGD-M", "Adam", "RMSprop", "Adam-EMA"), "explicit": ("SAM",)}
    return make_rows(**names, **PART, **hand, untuned=("untrained",), noise=0.0)


@pytest.fixture(scope="module")
def text(rows):
    return text_of(rows)


def test_the_first_screen(text):
    first, *_ = sections(text).values()
    # SAM, GSAM and GAM have 3 points on average; the tasks show 1 and 1.5 times as
    # much.
    points = 1.25 * (3.0 - EFFECTS["LSTM none"][0])
    lines = first.splitlines()
    assert "more accurate on test data in the one case.**" in first
    assert f"LSTM-LO small {points:+.1f} (yes)" in first
    assert "flatter in the one case.**" in first
    assert re.search(r"LSTM-LO small 0\.\d\d and 0\.\d\d \(yes\)", first)
    assert "than the best tuned baseline in the one case.**" in first
    none = "more accurate than tuned Adam in no case, than the best tuned baseline in "
    assert none + "no case, and than itself before meta-training in no case.**" in first
    for name, told in (("Adam", "tuned Adam"), ("untrained", "the untrained LO")):
        behind = 1.25 * (EFFECTS["LSTM none"][0] - EFFECTS[name][0])
        assert f"Points above {told}: LSTM-LO small {behind:+.1f} (no)." in first
    assert sum(line.startswith("- **") for line in lines) == 4
    assert "Regime small: 1,000 training images, 20 % of them" in first
    assert "**All of this is provisional**" in first


def test_cases_that_are_not_measured_do_not_count():
    """The MLP without teacher is ahead of Adam, the LSTM is not, and lacks GAM."""
    axes = {**SMALL, "regimes": ("small",), "noise": 0.0}
    hand = {"explicit": (), "untuned": ("untrained",)}
    rows = make_rows(**axes, **hand, teachers=("none", "SAM", "GSAM", "GAM"))
    kept = [row for row in rows if row["cell"]["optimizer"] != "LSTM GAM"]
    first, claims, *_ = sections(text_of(kept)).values()
    assert "more accurate on test data in the one case.**" in first
    assert "(yes); LSTM-LO small (not measured)." in first
    assert (
        "than tuned Adam in 1 of 2 cases, than the best tuned baseline in none" in first
    )
    assert "itself before meta-training in 1 of 2 cases.**" in first
    assert '"Not measured" means' in first
    assert "Of 2 cases: holds in 1, not measured in 1. Stopped early" in claims


@pytest.fixture(scope="module")
def flat():
    """Rows with the teachers for flatness only."""
    names = {"datasets": ("mnist", "cifar10"), "networks": ("mlp",), "records": 4}
    teachers = ("none", "SAM", "GSAM", "GAM")
    return make_rows(**names, **PART, **ADAM, teachers=teachers, noise=0.0)


def test_findings_are_true_of_other_rows_too(flat):
    """What is worse with a teacher is not said to be better."""
    worse = []
    for row in flat:
        if row["kind"] == "run" and row["cell"]["teacher"] in ("SAM", "GSAM", "GAM"):
            end = {**row["end"], "test_accuracy": 0.2}
            row = {**row, "end": end}
        worse.append(row)
    first, claims, *_ = sections(text_of(worse)).values()
    assert "more accurate on test data in no case.**" in first
    assert re.search(r"LSTM-LO small -\d+\.\d \(no\)", first)
    assert "without a teacher. Of 1 case: does not hold in 1." in claims


def test_every_claim_has_a_row(text):
    effects = sections(text)["Effects and verdicts"]
    for claim in (*CLAIMS, *CONTROLS):
        name = f"{claim.name}, {claim.part}" if claim.part else claim.name
        ((case, verdict, effect),) = rows_of(effects, name)
        assert case == "LSTM-LO small"
        # There is no such task, and no LSTM is tuned.
        if claim.tasks == "MLP-ReLU" or claim in CONTROLS[-2:]:
            assert (verdict, effect) == ("not measured", "–")
        else:
            assert verdict in ("holds", "does not hold") and "[" in effect
    later = sections(text)["Appendix A. Not in the protocol"]
    assert rows_of(later, "3. MLP-ReLU, bracketed") == [["LSTM-LO small", "–"]]
    assert "verdict |" not in later


def test_contents_link_to_all_parts(text):
    links = re.findall(r"\(#(.*)\)", sections(text)["Contents"])
    titles = re.findall(r"^## (.*)", text, flags=re.MULTILINE)
    named = [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]
    assert links == [name for name in named if name not in _ABOVE] and len(links) > 9


_ABOVE = ("what-each-claim-says", "contents")


@pytest.mark.parametrize(
    "fewer, shown, judged",
    [({}, "shown", "holds"), ({"seeds": 1}, "not shown", "has too few runs")],
)
def test_the_dial(fewer, shown, judged):
    found = sections(text_of(make_dial_rows(**DIALS, **fewer)))
    first, *_ = found.values()
    assert f"+ SAM is {shown} to be better than that of MLP-LO + L2.**" in first
    assert re.search(r"SAM's has \+3\.0 \[\d\.\d, \d\.\d\] points more in small", first)
    section = found["The dial"]
    assert "mean over 1 task (MNIST MLP):" in section
    assert len(rows_of(section, "SAM")) == len(rows_of(section, "L2")) == len(DIAL)
    assert f"The claim {judged}." in section and "(figures/dial.svg)" in section
    assert "(#the-dial)" in found["Contents"]


def test_without_dials_none_is_told(text):
    assert "The dial" not in sections(text) and "#the-dial" not in text


def test_sentences_that_must_be_there(text):
    found = sections(text)
    sharpness = found["Sharpness, regime small"]
    assert "only the comparison at matched training loss is fair" in sharpness
    assert "JPEG" in found["Appendix F. Limits"]
    assert "of the average of Adam-EMA" in found["Appendix F. Limits"]
    assert "`ascent_check.csv`" in found["Appendix F. Limits"]
    assert "lr 0.01" in found["All tasks together, regime small"]
    assert "Test accuracy at the end" in found["Test accuracy"]
    assert "| runs, learned | 48 | 96 |" in found["Appendix E. Budgets and costs"]
    assert "| LSTM-LO + SAM | LSTM SAM |" in found["Appendix G. Names"]


def test_provenance(text):
    found = sections(text)["Appendix H. Provenance"]
    for part in ("0123456789", "2026-01-01", "keras 3", "Grid: made_up"):
        assert part in found
    assert "python -m binaries.report" in found
    assert "--verify" not in found  # nobody knows the grid
    assert "Presets" not in found


def test_provenance_of_presets_and_of_a_grid_that_is_known(monkeypatch):
    part = {"rules": ("LSTM",), **ADAM, "teachers": ("none",)}
    rows = make_rows(**SMALL, **part, regimes=("small",))
    grid = Grid(
        "made_up",
        datasets=SMALL["datasets"],
        networks=SMALL["networks"],
        regimes=("small",),
        horizons=(("*", (100,)),),
        optimizers=("Adam", "LSTM none"),
    )
    monkeypatch.setitem(GRIDS, "made_up", grid)
    origin = {"commit": "fedcba", "command": "python -m binaries.meta_train"}
    rows = [
        {**row, "meta_trained_by": origin} if row["kind"] == "meta" else row
        for row in rows
    ]
    found = sections(text_of(rows))
    provenance = found["Appendix H. Provenance"]
    key = re.search(r"--grid=made_up --store=DIR --verify=(\S+)", provenance)[1]
    assert key in {row["key"] for row in rows if row["kind"] == "run"}
    assert "meta-trained at fedcba" in provenance
    assert origin["command"] in provenance.splitlines()
    costs = found["Appendix E. Budgets and costs"]
    assert "the seconds are those of reading" in costs


def test_the_teachers_are_those_of_the_grid():
    """A claim about SAM, GSAM and GAM would not be measured without all of them."""
    part = {"rules": ("LSTM",), **ADAM, "teachers": ("none", "SAM", "GAM")}
    first, *_ = sections(text_of(make_rows(**SMALL, **part))).values()
    assert "A flatness teacher (SAM or GAM) is shown" in first
    assert "LSTM-LO small" in first.splitlines()[1]
    assert "more accurate than the best tuned baseline in" in first


def test_claims_that_are_one_are_named(text):
    assert "claim 4 is claim 1 there" not in text
    part = {"rules": ("LSTM",), **ADAM, "teachers": ("none", "SAM")}
    full = make_rows(**SMALL, **part, regimes=("full",))
    assert "In regime full no task was meta-trained on: claim 4" in text_of(full)


def test_what_rests_on_cifar10_is_named(flat, text):
    assert "Without CIFAR-10 these verdicts" not in text
    other = []
    for row in flat:
        cell = row["cell"]
        if row["kind"] == "run" and cell["dataset"] == "mnist" and cell["teacher"]:
            accuracy = 0.85 if cell["teacher"] == "none" else 0.8
            row = {**row, "end": {**row["end"], "test_accuracy": accuracy}}
        if row["kind"] == "run" and cell["dataset"] == "cifar10" and cell["teacher"]:
            accuracy = 0.1 if cell["teacher"] == "none" else 0.8
            row = {**row, "end": {**row["end"], "test_accuracy": accuracy}}
        other.append(row)
    found = sections(text_of(other))["Effects and verdicts"]
    assert "Without CIFAR-10 these verdicts would be others: " in found
    assert "1. generalization, LSTM-LO small (does not hold)" in found
    assert "2. flatness, LSTM-LO small (" not in found


@pytest.mark.parametrize(
    "part",
    [
        {"meta_seeds": 1, "seeds": 1, "explicit": ()},
        {"rules": ()},
        {"baselines": ()},
        {"baselines": (), "explicit": ()},
        {"teachers": ("SAM",)},
        {"rules": ("MLP",), "baselines": ("RMSprop",)},
    ],
    ids=str,
)
def test_any_part_of_a_grid(part):
    text = text_of(make_rows(**SMALL, **{**PART, **FEW, **part}))
    assert "nan" not in text.lower().replace("nance", "")
    assert ("There is no run of a learned optimizer." in text) == (
        not part.get("rules", 1)
    )
    assert ("### Time to a target" in text) == ("baselines" not in part)


def test_only_runs():
    some = make_rows(**SMALL, **PART, teachers=("none",), **ADAM)
    text = text_of([row for row in some if row["kind"] == "run"])
    assert "0 meta-trainings and 0 tunings" in text


def test_cifar10_is_named_as_it_is():
    axes = {**SMALL, **ADAM, "datasets": ("cifar10",), "rules": ()}
    text = text_of(make_rows(**axes, regimes=("small",), jpeg=False))
    assert "CIFAR-10 MLP" in text and "JPEG" not in text


def test_diverged_runs_count_and_are_marked():
    rows = make_rows(**SMALL, **PART, **ADAM, teachers=("none", "SAM"))
    for row in rows:
        if row["kind"] == "run" and row["cell"]["optimizer"] == "LSTM SAM":
            row["diverged"] = True
            last = row["records"][-1]
            last["train_loss"] = float("nan")
            row["end"]["test_accuracy"] = 0.1
            for ball in last["sharpness"]:
                ball |= {"clean_loss": float("nan"), "increase": float("nan")}
    found = sections(text_of(rows))
    assert "4 runs diverged: LSTM-LO + SAM 4" in found["Effects and verdicts"]
    ((accuracy,),) = rows_of(found["Test accuracy"], "LSTM-LO + SAM")
    assert accuracy.startswith("10.0") and accuracy.endswith("‡")
    tables = found["Appendix C. Tables of regime small"]
    (points, _), *_ = rows_of(tables, "LSTM-LO + SAM")
    assert float(points.split()[0]) < -60 and "∞ ‡" in tables


def test_other_horizons_are_left_out_and_said():
    rows = make_rows(**SMALL, **ADAM, regimes=("small",), rules=())
    runs = [row for row in rows if row["kind"] == "run"]
    longer = {**runs[0], "key": "longer", "cell": {**runs[0]["cell"], "steps": 200}}
    text = text_of([*rows, longer])
    assert "1 runs of other lengths" in text and "without CIFAR-10" not in text


@pytest.mark.parametrize("kind", ["run", "tuning", "meta"])
def test_two_rows_of_a_cell_are_refused(kind):
    rows = make_rows(**SMALL, **PART)
    row = next(row for row in rows if row["kind"] == kind)
    with pytest.raises(ValueError, match=f"one row.*Received: {kind} .*and other"):
        Study([*rows, {**row, "key": "other"}])


def test_two_versions_of_a_data_set_are_refused():
    rows = make_rows(**SMALL, **PART)
    for i, row in enumerate(rows):
        data = {**row["settings"]["data"], "sum": i // 40}
        row["settings"] = {**row["settings"], "data": data}
    with pytest.raises(
        ValueError, match="share the data of a data set.*'sum': 0.*'sum': 1"
    ):
        Study(rows)
    for row in rows[40:]:
        row["settings"]["data"]["name"] = "digits"
    Study(rows[:79])


def test_a_store_without_runs():
    with pytest.raises(ValueError, match="must hold a run"):
        Study([])
