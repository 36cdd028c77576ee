"""Losses of records are on some examples, those of scores on all."""

import dataclasses

import keras
import numpy as np
import pytest

from lrlearn.evaluation import random_directions
from paper.grid import measurement
from paper.grid.grid import TaskName
from paper.grid.meta_training import load_task
from tests.paper.small_grid import SMALL

NAME = TaskName("digits", "mlp", "small")
SPLITS = ("train", "validation", "test")
# Numbers of examples that are all different.
MEASURES = dataclasses.replace(
    SMALL.measures,
    examples=(("*", 50),),
    eigenvalue_examples=(("*", 64),),
)


@pytest.fixture(scope="module")
def task():
    return load_task(NAME)


@pytest.fixture(scope="module")
def networks(task):
    inits = [task.init(seed)[0] for seed in (0, 1)]
    return [np.stack(weights) for weights in zip(*inits, strict=True)], []


@pytest.fixture
def measured(task, monkeypatch):
    # Chunks that divide neither number of examples.
    monkeypatch.setattr(measurement, "_CHUNK", 30)
    return measurement.Measurement(task, MEASURES.of(NAME))


def check(found, task, networks, splits, count):
    """Against the task, a network at a time, all examples at once."""
    for k, numbers in enumerate(found):
        for split in splits:
            x, y = (array[:count] for array in getattr(task, split))
            weights = [w[k] for w in networks[0]]
            loss, outputs, _ = task.evaluate_loss(weights, [], x, y)
            right = keras.metrics.sparse_categorical_accuracy(y, outputs)
            assert numbers[f"{split}_loss"] == pytest.approx(float(loss), rel=1e-5)
            assert numbers[f"{split}_accuracy"] == pytest.approx(np.mean(right))


def test_losses_are_on_the_first_examples(measured, task, networks):
    found = measured.record(*networks)
    check(found, task, networks, SPLITS, 50)
    squares = [sum(np.sum(w[k] ** 2) for w in networks[0]) for k in (0, 1)]
    norms = [numbers["parameter_norm"] for numbers in found]
    assert norms == pytest.approx(np.sqrt(squares), rel=1e-6)


def test_the_landscape_is_that_of_the_first_network(measured, task, networks):
    first, second = measured.end(*networks)
    found = first["landscape"]
    assert "landscape" not in second
    weights = [w[0] for w in networks[0]]
    x, y = (array[:128] for array in task.train)
    loss = task.evaluate_loss(weights, [], x, y)[0]
    plane = list(zip(found["alpha"], found["beta"], found["loss"], strict=True))
    assert len(plane) == 25
    (centre,) = (loss for a, b, loss in plane if a == b == 0)
    assert centre == pytest.approx(float(loss), rel=1e-5)
    moved = [w + d for w, d in zip(weights, random_directions(weights)[0], strict=True)]
    (end,) = (loss for a, b, loss in plane if (a, b) == (1, 0))
    expected = task.evaluate_loss(moved, [], x, y)[0]
    assert end == pytest.approx(float(expected), rel=1e-5)


def test_scores_are_on_all_examples(measured, task, networks):
    found = measured.scores(SPLITS[1:], *networks)
    check(found, task, networks, SPLITS[1:], None)
    assert not any("train_loss" in numbers for numbers in found)
