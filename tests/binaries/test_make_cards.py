"""`make_cards` keeps what the built-in presets say in step with the results."""

import pandas as pd
import pytest

from lrlearn.optimizers import preset_source, presets

PROGRAM = "make_cards"
BUILT_IN = sorted(preset_source.built_in())


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_metadata_are_those_of_the_results(program, name):
    """As if it had just been run."""
    rule, _, metadata = presets.load_preset(name)
    assert program.measured(name, rule, metadata).items() <= metadata.items()


def test_a_number(program):
    """One cell, against the CSV file."""
    frame = pd.read_csv(program._RESULTS / "rule_accuracy.csv")
    frame = frame.query("optimizer == 'mlp_sam' and step == 1000")
    row = presets.describe()["mlp_sam"]["results"]["rows"][1]
    assert (row["task"], row["steps"]) == ("mnist/mlp", 1000)
    mean = 100 * frame["test_accuracy"].mean()
    assert row["this preset"].startswith(f"{mean:.1f} ± ")


def test_rewriting_changes_no_weights(run, tmp_path, monkeypatch):
    """And brings back a card."""
    source = preset_source.built_in()["mlp_sam"]
    rule, theta, metadata = presets.load_preset("mlp_sam")
    facts = ("results", "cost", "limits")
    bare = {key: value for key, value in metadata.items() if key not in facts}
    presets.save_preset(tmp_path / "mlp_sam", rule, theta, bare)
    monkeypatch.setattr(preset_source, "_BUILT_IN", tmp_path)
    assert run().code == 0
    for name in ("README.md", "config.json", "theta.safetensors"):
        written = (tmp_path / "mlp_sam" / name).read_bytes()
        assert written == (source.path / name).read_bytes()
