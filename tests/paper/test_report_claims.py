"""Claims and verdicts follow from rows whose effects are known."""

import numpy as np
import pytest

from lrlearn.evaluation.bootstrap import Interval
from paper.report.claims import (
    CLAIMS,
    CONTROLS,
    EXPLORATIONS,
    Claim,
    Result,
    results,
    table,
    table_by_meta_seed,
    verdicts,
)
from paper.report.effects import Effect
from paper.report.frames import frames
from paper.report.study import Study, best_baselines
from tests.paper.grid_rows import (
    RULES,
    best_baseline,
    gain,
    log_increase,
    make_rows,
    train_loss,
)

ONE = {"datasets": ("mnist",), "networks": ("mlp",), "regimes": ("full",)}
PLACES = [(regime, rule) for regime in ("small", "full") for rule in RULES]
TASKS = [f"{d}/{n}" for d in ("mnist", "cifar10") for n in ("mlp", "mlp_relu", "cnn")]
OTHERS = [task for task in TASKS if task.startswith("mnist/")]
REGULARIZED = ("SAM", "GSAM", "GAM")
FLAT = (("relative", 0.02), ("fixed", 0.05))
NONE = ("{rule} none",)
STEADY = ("SGD-M", "Adam", "RMSprop")
STABLE = (("fixed", 0.1),)
CIFAR10 = [task for task in TASKS if task.startswith("cifar10/")]
RELU = [task for task in TASKS if task.endswith("/mlp_relu")]
TUNED = ("LO, tuned rate", "LO + SAM, tuned dial")
TUNED = [f"{name}, above the best tuned baseline" for name in TUNED]
SEEN = {"small": ["mnist/mlp", "mnist/mlp_relu"], "full": []}


def of(rule, names):
    return [name.format(rule=rule) for name in names]


def ahead(effect, regime, optimizers, references, tasks, *ball):
    """An effect of optimizers beyond that of their references, mean over tasks."""

    def mean(optimizers, task):
        return np.mean([effect(o, task, regime, *ball) for o in optimizers])

    return np.mean(
        [mean(optimizers, task) - mean(references[task], task) for task in tasks]
    )


@pytest.fixture(scope="module")
def rows():
    more = {"untuned": ("untrained",), "tuned": ("MLP none tuned", "MLP SAM tuned")}
    return make_rows(datasets=("mnist", "cifar10"), **more, noise=0.0)


@pytest.fixture(scope="module")
def everything(rows):
    return results(Study(rows), (*CLAIMS, *CONTROLS, *EXPLORATIONS))


@pytest.fixture(scope="module", params=PLACES, ids="-".join)
def place(request):
    return request.param


@pytest.fixture(scope="module")
def claims(everything, place):
    by_claim = {}
    for result in everything:
        if (result.regime, result.rule) == place:
            by_claim.setdefault(result.claim.name, []).append(result)
    return by_claim


@pytest.mark.parametrize(
    "name, teachers, references",
    [
        ("1. generalization", REGULARIZED, NONE),
        ("1. with SAM only", ["SAM"], NONE),
        ("1. with GSAM only", ["GSAM"], NONE),
        ("1. with GAM only", ["GAM"], NONE),
        ("1. generalization, without CIFAR-10", REGULARIZED, NONE),
        ("4. transfer", REGULARIZED, NONE),
        ("4. transfer, without CIFAR-10", REGULARIZED, NONE),
        ("LO + L2 above LO", ["L2"], NONE),
        ("LO + held-out above LO", ["held-out"], NONE),
        ("above LO + L2", REGULARIZED, ["{rule} L2"]),
        ("above LO + held-out", REGULARIZED, ["{rule} held-out"]),
        ("above the best tuned baseline", REGULARIZED, None),
        ("above the best tuned baseline, stopped early", REGULARIZED, None),
        ("above explicit SAM", REGULARIZED, ["SAM"]),
        ("LO above untrained LO", ["none"], ["untrained"]),
        ("LO above tuned Adam", ["none"], ["Adam"]),
        ("LO above the best tuned baseline", ["none"], None),
        (TUNED[0], ["none tuned"], None),
        (TUNED[1], ["SAM tuned"], None),
    ],
)
def test_gains_are_those_of_the_rows(claims, place, name, teachers, references):
    regime, rule = place
    if (name, rule) in ((TUNED[0], "LSTM"), (TUNED[1], "LSTM")):
        assert claims[name][0].verdict == "not measured"
        return
    left_out = CIFAR10 if name.endswith("without CIFAR-10") else []
    left_out = [*left_out, *(SEEN[regime] if name.startswith("4.") else [])]
    against = {
        task: of(rule, references or [best_baseline(task, regime)]) for task in TASKS
    }
    optimizers = [f"{rule} {teacher}" for teacher in teachers]
    tasks = [task for task in TASKS if task not in left_out]
    expected = ahead(gain, regime, optimizers, against, tasks)
    (part,) = claims[name]
    assert part.effect.interval == pytest.approx([expected] * 3, abs=1e-9)
    assert part.effect.tasks == len(tasks)
    # Explicit SAM gains more than what it teaches, and MLP none more than MLP L2.
    less = [("above explicit SAM", "LSTM"), ("above explicit SAM", "MLP")]
    less += [("LO + L2 above LO", "MLP"), ("LO above untrained LO", "LSTM")]
    less += [("LO above tuned Adam", "LSTM")]
    less += [("LO above the best tuned baseline", rule) for rule in RULES]
    assert (expected > 0) == ((name, rule) not in less)
    assert part.verdict == ("holds" if expected > 0 else "does not hold")


@pytest.mark.parametrize("where, tasks", [("", TASKS), (", without CIFAR-10", OTHERS)])
def test_accuracy_is_that_at_matched_loss(claims, place, where, tasks):
    regime, rule = place

    def points(optimizer, task):
        """At the loss that the slower one of it and of LO none ends with."""
        pair = optimizer, f"{rule} none"
        losses = [[train_loss(o, task, regime, s, 1.0) for o in pair] for s in (0, 1)]
        starts = train_loss(optimizer, task, regime, 0, 0.0)
        speeds = np.log(starts / np.array(losses))
        progress = speeds.min(axis=1, keepdims=True) / speeds
        own, other = (gain(o, task, regime) for o in pair)
        return own - other + 30 * np.mean(progress[:, 0] - progress[:, 1])

    optimizers = [f"{rule} {teacher}" for teacher in REGULARIZED]
    expected = np.mean([points(o, task) for o in optimizers for task in tasks])
    (part,) = claims[f"1. at matched loss{where}"]
    assert part.effect.interval.mean == pytest.approx(expected)
    assert part.effect.left_out == 0


@pytest.mark.parametrize("where, tasks", [("", TASKS), (", without CIFAR-10", OTHERS)])
def test_accuracy_stopped_early_is_that_of_records(claims, place, where, tasks):
    """Made-up runs are best at their end."""
    regime, rule = place
    optimizers = [f"{rule} {teacher}" for teacher in REGULARIZED]
    none = dict.fromkeys(tasks, [f"{rule} none"])
    expected = ahead(gain, regime, optimizers, none, tasks)
    (part,) = claims[f"1. stopped early{where}"]
    assert part.effect.interval.mean == pytest.approx(expected)


@pytest.mark.parametrize(
    "name, teachers, references, balls, tasks",
    [
        ("2. flatness", REGULARIZED, NONE, FLAT, TASKS),
        ("2. flatness, without CIFAR-10", REGULARIZED, NONE, FLAT, OTHERS),
        ("3. stability, MLP-ReLU", REGULARIZED, STEADY, STABLE, RELU),
        ("3. stability, all tasks", REGULARIZED, STEADY, STABLE, TASKS),
        ("3. MLP-ReLU, of LO without teacher", ["none"], STEADY, STABLE, RELU),
        (
            "3. stability, MLP-ReLU, without CIFAR-10",
            REGULARIZED,
            STEADY,
            STABLE,
            RELU[:1],
        ),
        (
            "3. MLP-ReLU, of LO without teacher, without CIFAR-10",
            ["none"],
            STEADY,
            STABLE,
            RELU[:1],
        ),
        ("3. MLP-ReLU, bracketed", REGULARIZED, STEADY, STABLE, RELU),
        ("3. MLP-ReLU, to LO without teacher", REGULARIZED, NONE, STABLE, RELU),
        ("3. all tasks, of LO without teacher", ["none"], STEADY, STABLE, TASKS),
    ],
)
def test_flatness_is_that_at_matched_loss(
    claims, place, name, teachers, references, balls, tasks
):
    regime, rule = place
    optimizers = [f"{rule} {teacher}" for teacher in teachers]
    against = dict.fromkeys(tasks, of(rule, references))
    for part, ball in zip(claims[name], balls, strict=True):
        expected = ahead(log_increase, regime, optimizers, against, tasks, *ball)
        assert part.claim.part in ("", "{} radius {}".format(*ball))
        assert part.effect.interval == pytest.approx([expected] * 3, abs=1e-9)
        assert part.effect.left_out == 0 and part.effect.tasks == len(tasks)
        assert part.verdict == ("holds" if expected < 0 else "does not hold")


def test_pairs_are_counted(claims):
    effect = claims["1. generalization"][0].effect
    # 6 tasks, 3 teachers, 2 meta-seeds, 2 seeds
    assert effect.pairs == 6 * 3 * 2 * 2
    assert (effect.meta_seeds, effect.seeds) == (2, 2)
    steady = claims["3. stability, MLP-ReLU"][0].effect
    assert steady.pairs == 2 * 3 * 3 * 2 * 2


def test_few_seeds_are_provisional(everything):
    assert all(result.provisional for result in everything if result.effect)
    unmeasured = [(r.claim.name, r.rule) for r in everything if r.effect is None]
    assert set(unmeasured) == {(name, "LSTM") for name in TUNED}
    options = {**ONE, "rules": ("LSTM",), "records": 4}
    enough = results(Study(make_rows(meta_seeds=5, seeds=5, **options)), CLAIMS)
    assert not any(result.provisional for result in enough)
    fewer = results(Study(make_rows(meta_seeds=4, seeds=5, **options)), CLAIMS[:1])
    assert fewer[0].provisional


def test_tasks_that_lack_an_optimizer_are_left_out(rows):
    lacking = [
        row
        for row in rows
        if row["kind"] != "run"
        or (row["cell"]["optimizer"], row["cell"]["network"]) != ("LSTM GAM", "mlp")
    ]
    both = results(Study(lacking), CLAIMS[:2])
    all_teachers, only_sam = (
        result for result in both if (result.rule, result.regime) == ("LSTM", "small")
    )
    assert (all_teachers.effect.tasks, all_teachers.effect.all_tasks) == (4, 6)
    left = [task for task in TASKS if not task.endswith("/mlp")]
    optimizers = [f"LSTM {teacher}" for teacher in REGULARIZED]
    none = dict.fromkeys(left, ["LSTM none"])
    expected = ahead(gain, "small", optimizers, none, left)
    assert all_teachers.effect.interval.mean == pytest.approx(expected)
    assert only_sam.effect.tasks == 6
    texts = table(both)["effect [95 % interval]"]
    assert [text.endswith(" (4 of 6 tasks)") for text in texts[:4]] == [0, 0, 1, 1]


def test_what_was_not_measured_has_no_verdict():
    study = Study(make_rows(**ONE, teachers=("SAM",), rules=("LSTM",)))
    (result,) = results(study, CLAIMS[:1])
    assert result.effect is None and result.verdict == "not measured"
    assert not result.provisional
    assert table([result])["effect [95 % interval]"].isna().all()


@pytest.mark.parametrize("runs", [{"meta_seeds": 1}, {"seeds": 1}])
def test_one_run_decides_nothing(runs):
    """However far from zero its effect is."""
    effect = _effect(-3, -1)
    claim = Claim("c", (), (), "")
    assert Result(claim, "LSTM", "full", "ratio", effect).verdict == "holds"
    few = Result(claim, "LSTM", "full", "ratio", effect._replace(**runs))
    assert few.verdict == "too few runs" and few.provisional


@pytest.mark.parametrize(
    "parts, expected",
    [
        (("holds", "holds"), "holds"),
        (("holds", "undecided"), "undecided"),
        (("undecided", "does not hold"), "does not hold"),
        (("holds", "not measured"), "not measured"),
    ],
)
def test_all_parts_must_hold(parts, expected):
    ends = {"holds": (-3, -1), "undecided": (-1, 1), "does not hold": (1, 3)}
    both = [
        Result(
            Claim("c", (), (), "", part=str(i)),
            *("LSTM", "full", "ratio"),
            _effect(*ends[part]) if part in ends else None,
        )
        for i, part in enumerate(parts)
    ]
    assert [result.verdict for result in both] == list(parts)
    assert verdicts(both) == {("c", "LSTM", "full"): expected}


def _effect(low, high):
    return Effect(Interval((low + high) / 2, low, high), 1, 1, 5, 5, 25)


def test_tables_have_a_row_for_each_claim_rule_and_regime(rows):
    main = results(Study(rows), CLAIMS[:6])
    frame = table(main, verdicts(main))
    assert len(frame) == 6 * 4 and set(frame["case"][:4]) == {
        "LSTM-LO full",
        "LSTM-LO small",
        "MLP-LO full",
        "MLP-LO small",
    }
    by_meta_seed = table_by_meta_seed(main)
    for result, row, means in zip(
        main, frame.to_dict("records"), by_meta_seed["effects"], strict=True
    ):
        first = row["effect [95 % interval]"].split()[0]
        assert first == "{:{}}".format(
            result.interval.mean, "+.1f" if result.unit == "points" else ".2f"
        )
        # Without noise, meta-seeds have the same effect.
        assert means == f"{first} / {first}"
        assert row["verdict"] == result.verdict
    assert list(frame["claim"][20:21]) == ["2. flatness, relative radius 0.02"]
    assert table(main)["effect [95 % interval]"][23].endswith("] (72/72)")


def test_the_best_baseline_is_that_of_best_validation_accuracy(rows):
    places = [(task, regime) for task in TASKS for regime in ("small", "full")]
    expected = {place: best_baseline(*place) for place in places}
    assert best_baselines(frames(rows).runs) == expected
    # SGD-M on most tasks, but not on all: each has its own.
    assert list(expected.values()).count("SGD-M") == 9 and len(expected) == 12


def test_the_best_baseline_is_that_of_all():
    rows = make_rows(rules=(), explicit=())
    first = next(row["cell"] for row in rows if row["kind"] == "run")
    place = [first[name] for name in ("dataset", "network", "regime")]

    def kept(row):
        cell = row["cell"]
        here = [cell.get(name) for name in ("dataset", "network", "regime")] == place
        return not (here and cell["optimizer"] == "RMSprop")

    found = best_baselines(frames([row for row in rows if kept(row)]).runs)
    task = f"{place[0]}/{place[1]}"
    assert (task, place[2]) not in found and found
