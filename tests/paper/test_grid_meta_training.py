"""All fields of a recipe reach the trainer."""

import dataclasses

import pytest

import lrlearn
from paper.grid import meta_training
from paper.grid.grid import MetaRecipe
from paper.grid.optimizers import LEARNED

# Nothing is as it is by default, here or in the trainer.
RECIPE = MetaRecipe(
    dataset="digits",
    networks=("mlp_relu", "cnn"),
    steps=6,
    horizon=(30, 60),
    validation_steps=7,
    coordinates=48,
    lstm_units=(3,),
    lstm_rate=0.5,
    mlp_rate=0.25,
    final_rate=0.5,
    lstm_validations=3,
    mlp_validations=2,
    unroll=5,
    initializations=4,
    initial_scale=(0.25, 4.0),
    clipnorm=2.0,
)


@pytest.fixture
def trained(monkeypatch):
    """The arguments of the trainer and of `fit`, in place of meta-training."""
    calls = []

    class Stop(Exception):
        pass

    class Trainer:
        def __init__(self, *args, **kwargs):
            calls.append((args, kwargs))

        def fit(self, steps, **kwargs):
            calls.append(steps)
            raise Stop

    def trained(name):
        monkeypatch.setattr(lrlearn, "MetaTrainer", Trainer)
        with pytest.raises(Stop):
            meta_training.meta_train(LEARNED[name], 11, RECIPE)
        return calls

    return trained


def test_every_field_differs_from_its_default():
    values = dataclasses.asdict(RECIPE), dataclasses.asdict(MetaRecipe())
    assert [n for n in values[0] if values[0][n] == values[1][n]] == ["regime"]


@pytest.mark.parametrize(
    "name, rate, every", [("LSTM held-out", 0.5, 2), ("MLP GSAM", 0.25, 3)]
)
def test_the_recipe_reaches_the_trainer(trained, name, rate, every):
    ((rule, tasks, teacher), settings), steps = trained(name)
    optimizer = settings.pop("meta_optimizer")
    estimator = settings.pop("estimator")
    assert settings == {
        "unroll": 5,
        "horizon": (30, 60),
        "optimizees_per_task": 4,
        "initial_scale": (0.25, 4.0),
        "meta_split": "validation" if name.endswith("held-out") else "train",
        "validation_every": every,
        "validation_steps": 7,
        "seed": 11,
    }
    assert steps == 6 and estimator.coordinates == 48
    assert optimizer.global_clipnorm == 2.0
    assert [float(optimizer._learning_rate(t)) for t in (0, 6)] == [rate, rate / 2]
    assert [task.name for task in tasks] == ["digits/mlp_relu", "digits/cnn"]
    assert type(teacher).__name__ == ("GSAM" if "GSAM" in name else "NoneType")
    if name.startswith("LSTM"):
        assert rule.get_config()["units"] in ((3,), [3])
    else:
        assert rule.get_config()["horizon"] == 60
