"""The first screen: verdicts, what they rest on, and what was asked afterwards."""

import json

import numpy as np
import pytest

from paper.report import summary
from paper.report.content import content
from paper.report.document import Table
from tests.paper.grid_effects import (
    FLAT,
    ONE,
    OTHERS,
    PLACES,
    REGULARIZED,
    TASKS,
    ahead,
)
from tests.paper.grid_rows import gain, log_increase, make_rows


@pytest.fixture(scope="module")
def rows():
    return make_rows(datasets=("mnist", "cifar10"), noise=0.0)


@pytest.fixture(scope="module")
def screen(rows):
    return summary.section(content(rows))


def test_the_first_screen_has_a_column_for_each_rule_and_regime(screen):
    table, more = (
        b.frame.set_index("claim") for b in screen[:-1] if isinstance(b, Table)
    )
    for regime, rule in PLACES:
        optimizers = [f"{rule} {teacher}" for teacher in REGULARIZED]
        pair = regime, optimizers, dict.fromkeys(TASKS, [f"{rule} none"]), TASKS
        points, flat = table[f"{rule} {regime}"][["1. generalization", "2. flatness"]]
        assert points.startswith(f"holds {ahead(gain, *pair):+.1f} [")
        for ball in FLAT:
            ratio = np.exp(ahead(log_increase, *pair, *ball))
            assert "{} {}: {:.2f} [".format(*ball, ratio) in flat
        others = ahead(gain, *pair[:-1], OTHERS)
        # No verdict: it was asked after the data had been seen.
        found = more[f"{rule} {regime}"]
        assert found["1. without CIFAR-10"].startswith(f"{others:+.1f} [")
        assert found["3. MLP-ReLU, bracketed"].endswith("] (72/72)")


def test_effects_at_each_meta_seed_are_shown_while_they_are_few(screen):
    *_, about, table = screen
    assert "With so few meta-seeds" in about.text
    optimizers = [f"LSTM {teacher}" for teacher in REGULARIZED]
    none = dict.fromkeys(TASKS, ["LSTM none"])
    pair = "small", optimizers, none, TASKS
    column = table.frame.set_index("claim")["LSTM small"]
    points = f"{ahead(gain, *pair):+.1f}"
    assert column["1. generalization"] == f"{points} / {points}"
    ratios = [f"{np.exp(ahead(log_increase, *pair, *ball)):.2f}" for ball in FLAT]
    assert column["2. flatness"] == (
        f"relative 0.02: {ratios[0]} / {ratios[0]}; "
        f"fixed 0.05: {ratios[1]} / {ratios[1]}"
    )
    enough = make_rows(meta_seeds=5, seeds=2, **{**ONE, "records": 4})
    texts = [getattr(b, "text", "") for b in summary.section(content(enough))]
    assert not any("few meta-seeds" in text for text in texts)


def test_what_rests_on_cifar10_is_named(rows, screen):
    assert "Without CIFAR-10" not in _notes(screen)
    runs = json.loads(json.dumps([row for row in rows if row["kind"] == "run"]))
    for row in runs:
        if row["cell"]["dataset"] == "mnist" and row["cell"]["teacher"] == "none":
            row["end"]["test_accuracy"] = 0.85
    text = _notes(summary.section(content(runs)))
    assert "Without CIFAR-10 these verdicts would be others: " in text
    assert "1. generalization, LSTM small (does not hold)" in text
    assert "2. flatness" not in text


def test_claims_that_are_one_are_named(screen):
    text = "In regime `full` no task was meta-trained on: claim 4 is claim 1"
    assert text in _notes(screen)


def _notes(blocks):
    return "\n".join(item for b in blocks for item in getattr(b, "items", ()))
