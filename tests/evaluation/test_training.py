"""A run equals Keras's own training, and depends on its seed alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.evaluation import Training
from lrlearn.regularizers import SAM, RhoSchedule

RNG = np.random.default_rng(0)
X = RNG.normal(size=[60, 4]).astype("float32")
Y = (X @ RNG.normal(size=[4, 3])).argmax(axis=1).astype("int32")


def dense():
    return keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])


def normalized():
    """Batch normalization, weight decay: all that a model brings along but dropout."""
    return keras.Sequential(
        [
            keras.Input([4]),
            keras.layers.Dense(8, activation="tanh", kernel_regularizer="l2"),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dense(3),
        ]
    )


def with_dropout():
    return keras.Sequential([*normalized().layers, keras.layers.Dropout(0.5)])


def make_task(model_fn=dense, **data):
    data = data or {"validation": (X[30:40], Y[30:40]), "test": (X[40:], Y[40:])}
    return lrlearn.tasks.Task(
        model_fn,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        train=(X[:30], Y[:30]),
        batch_size=5,
        **data,
    )


def test_one_output_has_no_accuracy():
    """Whole numbers are no classes there: an accuracy would count the zeros."""
    data = np.ones((20, 3), "float32"), np.arange(20) % 2
    task = lrlearn.tasks.Task(
        lambda: keras.Sequential([keras.Input([3]), keras.layers.Dense(1)]),
        keras.losses.BinaryCrossentropy(from_logits=True),
        train=data,
        batch_size=5,
    )
    records = Training(task, "sgd").run(2, seeds=0)
    assert records["train_accuracy"].isna().all()
    assert np.isfinite(records["train_loss"]).all()


def batches(task, steps, seed):
    """Returns the batches that a run is documented to draw."""
    for step in range(steps):
        at = tf.random.experimental.stateless_fold_in(tf.constant([seed, 0]), step)
        yield task.batch("train", at)


def initial_model(task, seed):
    model = task.model_fn()
    params, state = task.init(seed)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    for variable, value in zip(variables, [*params, *state], strict=True):
        variable.assign(value)
    return model


def assert_same(model, other, **tolerance):
    for v, w in zip(model.variables, other.variables, strict=True):
        np.testing.assert_allclose(v.numpy(), w.numpy(), **tolerance)


@pytest.mark.parametrize("model_fn", [dense, normalized])
def test_a_run_equals_keras(model_fn):
    task = make_task(model_fn)
    training = Training(task, keras.optimizers.Adam(0.03))
    records = training.run(steps=6, seeds=3, record_every=4)
    model = initial_model(task, seed=3)
    model.compile(keras.optimizers.Adam(0.03), task.loss, metrics=["accuracy"])
    for x, y in batches(task, 6, seed=3):
        model.train_on_batch(x, y)
    assert_same(training.model, model, rtol=1e-5, atol=1e-6)
    assert list(records["step"]) == [0, 4, 6]
    for split in ("train", "validation", "test"):
        expected = model.evaluate(*getattr(task, split), verbose=0)
        found = records[[f"{split}_loss", f"{split}_accuracy"]].iloc[-1]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sam_is_used():
    task, rho, rate = make_task(), 0.5, 0.2
    training = Training(task, keras.optimizers.SGD(rate), SAM(rho))
    training.run(steps=3, seeds=1)
    kernel, bias = task.init(1)[0]
    for x, y in batches(task, 3, seed=1):
        x, onehot = x.numpy(), np.eye(3)[y.numpy()]

        def gradient(kernel, bias, x=x, onehot=onehot):
            p = np.exp(x @ kernel + bias)
            residual = (p / p.sum(axis=1, keepdims=True) - onehot) / len(x)
            return x.T @ residual, residual.sum(axis=0)

        g, h = gradient(kernel, bias)
        scale = rho / np.sqrt((g**2).sum() + (h**2).sum())
        g, h = gradient(kernel + scale * g, bias + scale * h)
        kernel, bias = kernel - rate * g, bias - rate * h
    found = [v.numpy() for v in training.model.trainable_variables]
    np.testing.assert_allclose(found[0], kernel, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found[1], bias, rtol=1e-4, atol=1e-6)


def test_batch_statistics_are_of_the_plain_pass():
    task = make_task(normalized)
    plain, sam = (
        Training(task, keras.optimizers.SGD(0.1), regularizer)
        for regularizer in (None, SAM(0.5))
    )
    for training in (plain, sam):
        training.run(steps=1, seeds=0)
    for v, w in zip(
        plain.model.non_trainable_variables,
        sam.model.non_trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=1e-5, atol=1e-6)
    kernels = [t.model.trainable_variables[0].numpy() for t in (plain, sam)]
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


def learned():
    rule = lrlearn.rules.CoordinatewiseLSTM(units=(2,))
    return lrlearn.LearnedOptimizer(rule, rule.init_theta(0))


@pytest.mark.parametrize(
    "make", [lambda: keras.optimizers.Adam(0.03), learned], ids=["adam", "learned"]
)
def test_nothing_is_left_of_earlier_runs(make):
    task = make_task(with_dropout)
    used, fresh = Training(task, make()), Training(task, make())
    used.run(steps=5, seeds=0, learning_rate=0.5)
    other = used.run(steps=5, seeds=1)
    again = used.run(steps=5, seeds=0, record_every=2)
    expected = fresh.run(steps=5, seeds=0, record_every=2)
    np.testing.assert_array_equal(again, expected)
    assert_same(used.model, fresh.model, rtol=0)
    for v, w in zip(used.optimizer.variables, fresh.optimizer.variables, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())
    assert (other.iloc[0] != expected.iloc[0]).any()


def test_the_learning_rate_of_a_run():
    task = make_task()
    training = Training(task, keras.optimizers.SGD(0.01))
    given = training.run(5, seeds=0, learning_rate=0.3)
    own = Training(task, keras.optimizers.SGD(0.3)).run(5, seeds=0)
    np.testing.assert_allclose(given, own, rtol=1e-6)


def test_runs_of_a_seed_are_paired():
    task = make_task()
    slow = Training(task, keras.optimizers.SGD(0.0)).run(1, seeds=7)
    fast = Training(task, keras.optimizers.Adam(0.1)).run(1, seeds=7)
    np.testing.assert_array_equal(slow.iloc[0], fast.iloc[0])
    assert slow["train_loss"][1] == slow["train_loss"][0] != fast["train_loss"][1]


def test_evaluations_come_on_the_way():
    training = Training(make_task(), keras.optimizers.SGD(0.1))
    training.start([0])
    before = training.evaluate()
    assert int(training.optimizer.iterations) == 0
    training.train(2)
    assert int(training.optimizer.iterations) == 2
    expected = training.run(2, seeds=0).drop(columns=["seed", "step"])
    found = [result for results in (before, training.evaluate()) for result in results]
    assert found == expected.to_dict("records")


def test_only_splits_that_there_are():
    training = Training(make_task(validation=None), keras.optimizers.SGD(0.1))
    columns = {"seed", "step", "train_loss", "train_accuracy"}
    assert set(training.run(2, seeds=0).columns) == columns


def test_radii_follow_schedules():
    """Of the step and of the learning rate, as in SharpnessAwareModel."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.5, 0.25])
    trained = []
    for rho in (schedule([1], [0.5, 0.25]), RhoSchedule(0.0, 1.0)):
        training = Training(make_task(), keras.optimizers.SGD(rates), SAM(rho))
        training.run(steps=4, seeds=0)
        trained.append(training.model)
    assert_same(*trained, rtol=1e-5)
    fixed = Training(make_task(), keras.optimizers.SGD(rates), SAM(0.5))
    fixed.run(steps=4, seeds=0)
    difference = fixed.model.get_weights()[0] - trained[0].get_weights()[0]
    assert np.abs(difference).max() > 1e-4
