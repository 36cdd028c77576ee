"""Tasks that are no image classification train, stack and meta-train as all others."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.meta import NRES
from lrlearn.rules import PerParameterMLP
from lrlearn.tasks import Task

NAMES = lrlearn.tasks.names(images=False)


@pytest.mark.parametrize("name", NAMES)
def test_options(name):
    """The batch size is one, and the rest are refused."""
    task = lrlearn.tasks.load(name, batch_size=7)
    assert (task.name, task.batch_size) == (name, 7)
    for options in ({"label_noise": 0.1}, {"train_size": 10}, {"seed": 1}):
        with pytest.raises(ValueError, match=f"'{name}' must be given no option but"):
            lrlearn.tasks.load(name, **options)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow if "topics" in n else pytest.mark.long)
        for n in NAMES
    ],
)
def test_training_lowers_the_loss(name):
    """Of two runs at once, each as it is alone."""
    task = lrlearn.tasks.load(name)
    metric = f"validation_{task.metric.__name__}"
    make = lrlearn.LearnedOptimizer.from_preset
    ends = []
    for count in (1, 2):
        training = lrlearn.evaluation.Training(task, make("lo_none"), count=count)
        found = training.run(20, [0, 1]).set_index(["seed", "step"]).sort_index()
        ends.append(found[[metric, "validation_loss"]])
    np.testing.assert_allclose(ends[0].to_numpy(), ends[1].to_numpy(), rtol=2e-2)
    for seed in (0, 1):
        start, end = (ends[0].loc[(seed, step)] for step in (0, 20))
        assert end["validation_loss"] < start["validation_loss"]
        assert end[metric] > start[metric]


# CI runs one pair for each estimator.
META_TRAINED = [
    ("cartpole/mlp", "replay", pytest.mark.slow),
    ("cartpole/mlp", NRES(0.1), pytest.mark.long),
    ("topics/gru", "replay", pytest.mark.slow),
    ("topics/gru", NRES(0.1), pytest.mark.slow),
    ("topics/transformer", "replay", pytest.mark.slow),
    ("topics/transformer", NRES(0.1), pytest.mark.slow),
    ("digits/autoencoder", "replay", pytest.mark.slow),
    ("diabetes/mlp", "replay", pytest.mark.long),
]


@pytest.mark.parametrize(
    ("name", "estimator"),
    [pytest.param(*pair, marks=mark) for *pair, mark in META_TRAINED],
)
def test_meta_training(name, estimator):
    _meta_train(name, estimator, jit_compile=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cartpole/mlp", "topics/gru"])
@pytest.mark.parametrize("estimator", ["replay", NRES(0.1)], ids=["replay", "nres"])
def test_meta_training_as_it_is_by_default(name, estimator):
    """With XLA: both tasks have loops."""
    _meta_train(name, estimator, jit_compile=None)


def _meta_train(name, estimator, jit_compile):
    rule = PerParameterMLP(units=2, horizon=10)
    trainer = lrlearn.MetaTrainer(
        rule,
        [lrlearn.tasks.load(name, batch_size=4)],
        "sam",
        estimator,
        unroll=3,
        horizon=6,
        optimizees_per_task=2,
        validation_every=2,
        validation_steps=3,
        validation_optimizees=1,
        jit_compile=jit_compile,
    )
    history = trainer.fit(2, verbose=0).frame()
    assert np.isfinite(history[["meta_loss", "gradient_norm"]]).all(axis=None)
    assert (history["gradient_norm"] > 0).all() and history["skipped"].sum() == 0
    assert np.isfinite(history["score"].iloc[-1])


def _task(**arguments):
    def model_fn():
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])

    x = np.zeros((8, 3), "float32")
    return Task(model_fn, "mse", train=(x, x[:, :1]), batch_size=2, **arguments)


def _rows(seed):
    x = tf.random.stateless_normal([2, 3], seed)
    return x, x[:, :1]


def test_batches_from_a_function():
    """For training alone; the fingerprint tells it, and a metric."""
    task = _task(batch_fn=_rows, metric=keras.losses.mean_absolute_error)
    x, y = task.batch("train", tf.constant([3, 4]))
    np.testing.assert_array_equal(x, _rows(tf.constant([3, 4]))[0])
    np.testing.assert_array_equal(y, x[:, :1])
    outputs = tf.constant([[1.0], [3.0]])
    assert float(task.evaluate_metric(tf.zeros([2, 1]), outputs)) == 2.0
    training = lrlearn.evaluation.Training(task, "sgd")
    assert "train_mean_absolute_error" in training.run(2, 0)
    describe = lrlearn.meta.fingerprint.describe_task
    plain, other = describe(_task()), describe(_task(batch_fn=lambda s: _rows(s + 1)))
    found = describe(task)
    assert found.keys() - plain.keys() == {"batches", "metric"}
    assert found["batches"] != other["batches"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "accuracy"}, "`metric` must be a function"),
        ({"metric": lambda y, f: 0.0}, "`metric` must be a function .* with a name"),
        ({"batch_fn": 3}, "`batch_fn` must be a function of a seed"),
    ],
)
def test_functions_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        _task(**arguments)


@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: (tf.zeros([3, 3]), tf.zeros([3, 1])),
        lambda seed: (tf.zeros([2, 3]), tf.zeros([2, 1], "int32")),
        lambda seed: None,
        lambda seed: ([[0.0] * 3] * 2, [[0.0]] * 2),
        lambda seed: {"x": tf.zeros([2, 3]), "y": tf.zeros([2, 1])},
    ],
    ids=["size", "type", "nothing", "lists", "dict"],
)
def test_batches_are_like_rows_of_the_data(draw):
    with pytest.raises(ValueError, match="`batch_fn` must return .* like rows of"):
        _task(batch_fn=draw).batch("train", tf.constant([0, 0]))
