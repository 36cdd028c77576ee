"""Learning rates are chosen on validation data and on nothing else."""

import math
import types

import keras
import numpy as np
import pandas as pd
import pytest

import lrlearn
from lrlearn.evaluation import Training, tune_learning_rate


class Recorded:
    """Stands for a `Training`: the outcome of a run is looked up."""

    task = types.SimpleNamespace(validation=())

    def __init__(self, outcomes):
        self.outcomes, self.calls = outcomes, []

    def run(self, steps, seeds, learning_rate):
        self.calls.append((steps, seeds, learning_rate))
        names = "seed", "step", "validation_accuracy", "validation_loss"
        return pd.DataFrame(
            [(seed, 0, 1.0, 0.0) for seed in seeds]
            + [(seed, steps, *self.outcomes[learning_rate][seed]) for seed in seeds],
            columns=names,
        )


@pytest.mark.parametrize(
    "outcomes, best",
    [
        ({0.1: [(0.9, 2), (0.9, 2)], 0.2: [(0.8, 1), (0.8, 1)]}, 0.1),
        ({0.1: [(0.9, 2), (0.5, 2)], 0.2: [(0.8, 3), (0.8, 3)]}, 0.2),
        ({0.1: [(0.9, 2), (0.9, 2)], 0.2: [(0.9, 1), (0.9, 1)]}, 0.2),
        ({0.1: [(0.9, 1), (0.9, 1)], 0.2: [(0.9, 2), (0.9, 2)]}, 0.1),
        ({0.1: [(math.nan, 2)] * 2, 0.2: [(math.nan, 1)] * 2}, 0.2),
        ({0.1: [(0.9, 1), (0.9, math.nan)], 0.2: [(0.9, 2)] * 2}, 0.2),
        ({0.1: [(math.nan, 1), (math.nan, math.nan)], 0.2: [(math.nan, 9)] * 2}, 0.2),
    ],
    ids=[
        "accuracy",
        "mean",
        "tie",
        "other tie",
        "no accuracy",
        "diverged",
        "diverged, too",
    ],
)
def test_choice(outcomes, best):
    training = Recorded(outcomes)
    rate, trials = tune_learning_rate(training, list(outcomes), 7, [0, 1])
    assert rate == best
    assert training.calls == [(7, [0, 1], r) for r in (0.1, 0.2)]
    assert len(trials) == 4
    assert list(trials["learning_rate"]) == [0.1, 0.1, 0.2, 0.2]


def test_a_task_needs_validation_data():
    """That is said before anything is trained."""
    training = Recorded({})
    training.task = types.SimpleNamespace(validation=None, name="mine")
    with pytest.raises(ValueError, match="with validation data. Received: mine"):
        tune_learning_rate(training, [0.1], 7, [0])


def test_a_task_without_test_data_can_be_tuned():
    x = np.linspace(-1, 1, 32, dtype="float32")[:, None]
    task = lrlearn.tasks.Task(
        lambda: keras.Sequential([keras.Input([1]), keras.layers.Dense(1)]),
        "mse",
        train=(x, 2 * x),
        validation=(x, 2 * x),
        batch_size=8,
    )
    training = Training(task, keras.optimizers.SGD())
    rate, trials = tune_learning_rate(training, [1e-6, 0.3, 1e6], 40, [0])
    assert rate == 0.3
    assert trials["validation_accuracy"].isna().all()
