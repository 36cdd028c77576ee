"""`choose_presets` takes the meta-training of median score into the library."""

import numpy as np
import pytest

from lrlearn.optimizers import presets
from lrlearn.rules import PerParameterMLP, ScheduledMLP

PROGRAM = "tools.choose_presets"
SCORES = [0.4, 0.1, 0.3, 0.2, 0.5]
MEDIANS = {1: 0.4, 2: 0.1, 3: 0.3, 4: 0.2, 5: 0.3}


def _digest(theta):
    return tuple(np.concatenate([v.ravel() for _, v in sorted(theta.items())])[:50])


def _key(rule, seed):
    return _digest(rule.init_theta(seed))


@pytest.fixture(name="library")
def _library(program, tmp_path, monkeypatch):
    """A folder in place of the built-in presets; scores that `theta` tells."""
    by_theta = {
        _key(ScheduledMLP(default_rho=0.7), seed): score
        for seed, score in enumerate(SCORES)
    }

    class Trainer:
        def score(self, theta):
            return by_theta[_digest(theta)]

    monkeypatch.setattr(program, "make_trainer", lambda *_: (Trainer(), 2000))
    monkeypatch.setattr(program, "_LIBRARY", tmp_path / "library")
    return tmp_path / "library"


@pytest.fixture(name="runs")
def _runs(tmp_path):
    """Five meta-trainings of a rule with a dial, and two of one without."""
    for name, rule, scores in (
        ("lo_sam", ScheduledMLP(default_rho=0.7), SCORES),
        ("mine-2", PerParameterMLP(), SCORES[:2]),
    ):
        for seed, score in enumerate(scores):
            # What a meta-seed's own problems say is not what counts.
            own = score if name == "mine-2" else 1.0 - score
            metadata = {"seed": seed, "meta_validation_score": own}
            folder = tmp_path / "runs" / f"{name}-{seed}" / "preset"
            presets.save_preset(folder, rule, rule.init_theta(seed), metadata)
    return tmp_path / "runs"


def test_help(check_help):
    check_help()


def test_presets_are_taken_as_they_were_run(run, library, runs):
    outcome = run(f"--runs={runs}")
    assert outcome.code == 0
    assert outcome.out == "lo_sam: meta-seed 2 of 5\nmine-2: meta-seed 1 of 2\n"
    for name, seed, count in (("lo_sam", 2, 5), ("mine-2", 1, 2)):
        _, theta, metadata = presets.load_preset(library / name)
        _, source, before = presets.load_preset(runs / f"{name}-{seed}" / "preset")
        for weight, array in source.items():
            np.testing.assert_array_equal(theta[weight], array)
        scores = {str(s): score for s, score in enumerate(SCORES[:count])}
        assert metadata == {**before, "meta_validation_scores": scores}


@pytest.mark.parametrize("count", MEDIANS)
def test_the_median_is_the_better_one_of_two(program, count):
    rule = PerParameterMLP()
    trained = [(rule, {}, {"seed": seed}) for seed in range(count)]
    _, _, found = program.median(trained, SCORES[:count])
    assert SCORES[found["seed"]] == MEDIANS[count]


def test_dials_have_the_default_of_their_teacher(
    program, run, library, runs, monkeypatch
):
    default = [[2.0, 0.0], [20.0, 0.1]]
    monkeypatch.setattr(program, "DEFAULT_RHO", {"SAM": default, "L2": 0.3})
    run(f"--runs={runs}")
    rules = [presets.load_preset(library / name)[0] for name in ("lo_sam", "mine-2")]
    assert rules[0].get_config() == {
        **ScheduledMLP().get_config(),
        "default_rho": default,
    }
    assert rules[1].get_config() == PerParameterMLP().get_config()


def test_names(run, library, runs):
    assert run(f"--runs={runs}", "--names=mine-2").code == 0
    assert [path.name for path in library.iterdir()] == ["mine-2"]


@pytest.mark.parametrize(
    "folder, names, told",
    [("runs", "mine-2,other", "['other']"), ("nowhere", "", "none")],
)
def test_presets_without_runs(error, library, runs, folder, names, told):
    line = error(f"--runs={runs.parent / folder}", f"--names={names}")
    assert f"must have runs in {runs.parent / folder}. Received: {told}" in line
    assert not library.exists()
