"""`make_cards` keeps the built-in presets' cards in step with the results."""

import json

import pytest

from lrlearn.optimizers import presets
from lrlearn.rules import CoordinatewiseLSTM, PerParameterMLP, ScheduledMLP

PROGRAM = "tools.make_cards"
BUILT_IN = sorted(presets.built_in())


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_metadata_are_those_of_the_results(program, name):
    """As if it had just been run."""
    rule, _, metadata = presets.load_preset(name)
    assert program.measured(name, rule, metadata).items() <= metadata.items()


RUNS = """
step,test_accuracy,task,optimizer,seed
100,0.60,net,adam,0
100,0.62,net,adam,1
100,0.40,net,adam_default,0
100,0.40,net,adam_default,1
100,0.50,net,mine_none,0
100,0.50,net,mine_none,1
100,0.70,net,mine_sam,0
100,0.70,net,mine_sam,1
1000,0.90,net,adam,0
1000,0.90,net,adam,1
1000,0.45,net,adam_default,0
1000,0.45,net,adam_default,1
1000,0.80,net,mine_none,0
1000,0.80,net,mine_none,1
1000,0.70,net,mine_sam,0
1000,0.70,net,mine_sam,1
100,0.70,net,lone_sam,0
1000,0.70,net,lone_sam,0
"""
METADATA = {"tasks": ["net", "other"], "horizon": [5, 1234], "regularizer": "sam"}


@pytest.fixture(name="results")
def _results(program, tmp_path, monkeypatch):
    """A folder of results made by hand; the program looks there."""
    monkeypatch.setattr(program, "_RESULTS", tmp_path)
    monkeypatch.setattr(program, "_BENCHMARKS", tmp_path)
    for suffix in ("", "_small"):
        (tmp_path / f"preset_accuracy{suffix}.csv").write_text(RUNS.strip())
    return tmp_path


def test_accuracy(program, results):
    """Student's t of 95 % for one degree of freedom is 12.706."""
    found = program._accuracy("mine_sam")
    assert "over 2 seeds" in found["about"]
    assert [(r["data"], r["task"], r["steps"]) for r in found["rows"]] == [
        (data, "net", steps)
        for data in ("all images", "1,000 images, 20 % wrong labels")
        for steps in (100, 1000)
    ]
    # A standard deviation of sqrt(2): 12.706 sqrt(2) / sqrt(2) around the mean.
    first, second = found["rows"][:2]
    assert (first["Adam, default"], second["Adam, default"]) == (
        "40.0 ± 0.0",
        "45.0 ± 0.0",
    )
    assert (first["this preset"], first["Adam, tuned"]) == ("70.0 ± 0.0", "61.0 ± 12.7")
    assert (second["this preset"], second["Adam, tuned"]) == (
        "70.0 ± 0.0",
        "90.0 ± 0.0",
    )


def test_limits_follow_the_results(program, results):
    """Ahead of Adam at first and behind later; 20 points gained, then 10 lost."""
    limits = program._limits("mine_sam", PerParameterMLP(), METADATA)
    assert limits[0].startswith("Scale your inputs")
    assert limits[2].endswith("mean: 0 of 2 after 100 steps, 2 of 2 after 1,000 steps.")
    assert limits[3].startswith("Meta-trained on net, other, in runs of at most 1,234 ")
    assert limits[4].endswith(
        "on all images against `mine_none`, which had no teacher: +20.0 on net after "
        "100 steps, -10.0 on net after 1,000 steps."
    )
    bare = {**METADATA, "regularizer": "none"}
    assert program._limits("mine_none", PerParameterMLP(), bare) == [
        *limits[:2],
        limits[2].replace("0 of 2", "2 of 2"),
        limits[3],
        limits[-1],
    ]


def test_without_a_preset_that_had_no_teacher_nothing_is_compared(program, results):
    """The others' sentences stay."""
    assert program._limits("lone_sam", PerParameterMLP(), METADATA) == [
        limit
        for limit in program._limits("mine_sam", PerParameterMLP(), METADATA)
        if "against `mine_none`" not in limit
    ]


def test_a_rule_with_a_schedule_and_a_dial_has_limits_of_its_own(program, results):
    """And it says of how many meta-seeds it is the median."""
    scores = {"0": 0.25, "1": -0.5, "2": 0.125}
    metadata = {**METADATA, "meta_validation_scores": scores}
    rule = ScheduledMLP(default_rho=0.1)
    limits = program._limits("mine_sam", rule, metadata)
    assert "RunLength" in limits[1] and "`rho=0`" in limits[2]
    assert limits[3].endswith("scores: -0.5, 0.125, 0.25, less is better.")
    assert program._limits("mine_sam", ScheduledMLP(), metadata) == [
        *limits[:2],
        *limits[3:],
    ]


def test_cost(program, results, monkeypatch):
    """Of the steps of each network, on TensorFlow."""
    monkeypatch.setattr(program, "_NETWORKS", {"Net": "net", "One": "one"})
    rows = [
        {
            **{"group": group, "backend": backend, "case": case},
            **{"optimizer": optimizer, "ratio": factor * ratio},
        }
        for group, backend, case, factor in (
            ("training_step", "tensorflow", "net", 1),
            ("training_step", "tensorflow", "one", 2),
            ("training_step", "jax", "net", 50),
            ("meta_step", "tensorflow", "net", 100),
        )
        for optimizer, ratio in (("sam", 2.004), ("lstm_2x4", 6.0), ("adam", 1000.0))
    ]
    (results / "costs.json").write_text(json.dumps({"rows": rows}))
    assert program._cost(CoordinatewiseLSTM((4, 4)))["rows"] == [
        {"": "this preset", "Net": 6.0, "One": 12.0},
        {"": "SAM around Adam", "Net": 2.0, "One": 4.01},
    ]


def test_rewriting_changes_no_weights(run, tmp_path, monkeypatch):
    """And brings back a card."""
    source = presets.built_in()["lo_sam"]
    rule, theta, metadata = presets.load_preset("lo_sam")
    facts = ("results", "cost", "limits")
    bare = {key: value for key, value in metadata.items() if key not in facts}
    presets.save_preset(tmp_path / "lo_sam", rule, theta, bare)
    monkeypatch.setattr(presets, "_BUILT_IN", tmp_path)
    assert run().code == 0
    for name in ("README.md", "config.json", "theta.safetensors"):
        written = (tmp_path / "lo_sam" / name).read_bytes()
        assert written == (source / name).read_bytes()
