"""Where the defaults of meta-training come from."""

import keras
import numpy as np
import pytest

from lrlearn.meta import MetaSettings, MetaTrainer, Recipe
from lrlearn.rules import (
    CoordinatewiseLSTM,
    PerParameterMLP,
    ScheduledLSTM,
    ScheduledMLP,
)
from tests.meta.problems import FAST, mlp


@pytest.mark.parametrize(
    ("rule", "estimator"),
    [
        (CoordinatewiseLSTM(units=(2,)), "replay"),
        (PerParameterMLP(), "replay"),
        (ScheduledLSTM(units=(2,)), "nres"),
        (ScheduledMLP(), "nres"),
    ],
)
def test_a_trainer_follows_the_recipe_of_its_rule(rule, estimator):
    """Unless it is told otherwise."""
    recipe = Recipe.of(rule)
    assert recipe.estimator.name == estimator
    trainer = MetaTrainer(rule, [mlp()], validation_every=None)
    expected = MetaSettings(**{**recipe.settings, "validation_every": None})
    assert trainer.settings == expected
    assert trainer.config["estimator"]["name"] == estimator
    assert float(trainer.meta_optimizer.learning_rate) == pytest.approx(
        recipe.learning_rate
    )
    other = MetaTrainer(rule, [mlp()], None, "es", **FAST)
    assert other.config["estimator"]["name"] == "es"
    assert other.settings.unroll == FAST["unroll"]


def test_meta_validation_is_as_long_as_a_given_horizon():
    """Not as the recipe's own, in which the rule would be past its horizon."""
    recipe = Recipe.of(ScheduledMLP())
    assert recipe.meta_settings().validation_steps == 1000
    assert recipe.meta_settings(horizon=(50, 200)).validation_steps == 100
    both = recipe.meta_settings(horizon=(50, 200), validation_steps=7)
    assert both.validation_steps == 7


def test_the_learning_rate_warms_up_and_decays():
    """From 0 to the largest in 50 meta-steps, then as a cosine to 2 % of it."""
    recipe = Recipe.of(ScheduledMLP())
    optimizer = recipe.meta_optimizer(steps=1050)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 25, 50, 550, 1050)]
    most = recipe.learning_rate
    middle = most * (0.02 + 0.98 * 0.5)
    np.testing.assert_allclose(
        rates, [0, most / 2, most, middle, 0.02 * most], atol=1e-9
    )
    assert float(recipe.meta_optimizer(learning_rate=0.5).learning_rate) == 0.5
    replay = Recipe.of(PerParameterMLP()).meta_optimizer(steps=100)
    assert float(replay.learning_rate) == pytest.approx(5e-3)
    assert isinstance(replay, keras.optimizers.Adam) and replay.global_clipnorm == 1.0
