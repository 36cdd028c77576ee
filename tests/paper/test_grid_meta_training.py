"""Update rules are meta-trained by the recipe, and as the grid says."""

import dataclasses

import numpy as np
import pytest

import lrlearn
from lrlearn.meta import Recipe
from paper.grid import meta_training
from paper.grid.grid import MetaTraining
from paper.grid.optimizers import LEARNED, TEACHERS
from tests.paper.small_grid import SMALL

HOW = MetaTraining("digits", "digits", dial=(0.02, 0.1))
RULES = {"MLP": lrlearn.rules.ScheduledMLP, "LSTM": lrlearn.rules.ScheduledLSTM}


@pytest.mark.parametrize("rule", RULES)
def test_rules_have_a_dial_if_their_teacher_has(rule):
    for teacher, regularizer in TEACHERS.items():
        made = meta_training.make_rule(LEARNED[f"{rule} {teacher}"])
        assert isinstance(made, RULES[rule])
        assert ("rho" in made.run_inputs) == (regularizer is not None)


@pytest.mark.parametrize("name", ["MLP none", "LSTM GAM", "MLP held-out", "MLP L2"])
def test_the_trainer_follows_the_recipe(name):
    learned = LEARNED[name]
    trainer, steps = meta_training.make_trainer(learned, 11, HOW)
    recipe = Recipe.of(trainer.rule)
    expected = lrlearn.meta.MetaSettings(
        **recipe.settings,
        seed=11,
        dial=(0.02, 0.1) if TEACHERS[learned.teacher] else None,
        meta_split="validation" if learned.teacher == "held-out" else "train",
    )
    assert trainer.settings == expected
    assert steps == recipe.steps
    assert trainer.config["estimator"]["name"] == recipe.estimator.name
    rates = [
        optimizer.learning_rate.get_config()
        if hasattr(optimizer.learning_rate, "get_config")
        else float(optimizer.learning_rate)
        for optimizer in (trainer.meta_optimizer, recipe.meta_optimizer(steps))
    ]
    assert rates[0] == rates[1]
    tasks = [task["name"] for task in trainer.config["tasks"]]
    assert tasks == [task.name for task in lrlearn.tasks.load_collection("digits")]


def test_what_the_grid_says_replaces_the_recipe():
    settings = ("unroll", 7), ("horizon", (7, 14))
    how = MetaTraining("digits", "digits", tasks=2, steps=3, settings=settings)
    trainer, steps = meta_training.make_trainer(LEARNED["MLP none"], 0, how)
    assert steps == 3
    tasks = [task["name"] for task in trainer.config["tasks"]]
    assert tasks == [t.name for t in lrlearn.tasks.load_collection("digits")][:2]
    assert (trainer.settings.unroll, trainer.settings.horizon) == (7, (7, 14))


def test_packed_theta_is_the_same_to_the_bit():
    theta = lrlearn.rules.ScheduledMLP().init_theta(3)
    again = meta_training.unpack(meta_training.pack(theta))
    assert again.keys() == theta.keys()
    for name, array in theta.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.long
def test_a_preset_stands_for_its_meta_training(tmp_path):
    """If it was meta-trained likewise."""
    learned, how = LEARNED["MLP SAM"], SMALL.meta_training
    trainer, steps = meta_training.make_trainer(learned, 1, how)
    trainer.fit(steps, verbose=0)
    trainer.save_to_preset(tmp_path / learned.preset, command="by hand")
    found = meta_training.trained(tmp_path / learned.preset, learned, 1, how)
    assert found["theta"] == meta_training.pack(trainer.theta)
    assert found["score"] == trainer.history.best["score"]
    assert found["untrained_score"] == trainer.history.untrained_score
    assert found["meta_trained_by"]["command"] == "by hand"
    other = dataclasses.replace(how, dial=(0.03, 0.2))
    for arguments, differs in (((2, how), "seed"), ((1, other), "dial")):
        with pytest.raises(ValueError, match=f"lo_sam, with other {differs}$"):
            meta_training.trained(tmp_path / learned.preset, learned, *arguments)


@pytest.mark.parametrize(
    ("name", "preset"), [("MLP held-out", "lo_held_out"), ("LSTM GAM", "lo_lstm_gam")]
)
def test_presets_have_the_names_of_the_programs(name, preset):
    assert LEARNED[name].preset == preset
