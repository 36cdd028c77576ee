"""Ready-made tasks: names, options, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.tasks import networks, tfds_reader


def test_names_are_data_sets_by_networks():
    names = lrlearn.tasks.names()
    assert len(names) == len(set(names)) == 16
    assert {"digits/mlp", "mnist/mlp_relu", "fashion_mnist/cnn"} <= set(names)


@pytest.mark.parametrize("name", ["digits", "digits/rnn", "svhn/mlp", "", None])
def test_unknown_name_lists_the_valid_ones(name):
    with pytest.raises(
        ValueError, match="A task must be one of .*cifar10/cnn.*Received: "
    ):
        lrlearn.tasks.load(name)


def test_default_is_digits_mlp():
    task = lrlearn.tasks.load()
    assert (task.name, task.batch_size, task.num_params) == ("digits/mlp", 128, 1510)
    assert task.model.layers[-2].activation is keras.activations.sigmoid


@pytest.mark.parametrize("network", networks.NAMES)
def test_untrained_loss_is_near_that_of_guessing(network):
    task = lrlearn.tasks.load(f"digits/{network}")
    loss, logits, _ = task.evaluate_loss(*task.init(0), *task.test)
    assert logits.shape == (450, 10)
    assert abs(float(loss) - np.log(10)) < 0.7


def test_a_task_can_be_learned():
    task = lrlearn.tasks.load("digits/mlp_relu")
    params, state = task.init(0)

    @tf.function
    def step(params, i):
        x, y = task.batch("train", tf.stack([0, i]))
        with tf.GradientTape() as tape:
            tape.watch(params)
            loss = task.evaluate_loss(params, state, x, y, training=True)[0]
        gradients = tape.gradient(loss, params)
        return [w - 0.5 * g for w, g in zip(params, gradients, strict=True)]

    for i in tf.range(300):
        params = step(params, i)
    x, y = task.test
    logits = task.evaluate_loss(params, state, x, y)[1]
    assert np.mean(np.argmax(logits, axis=-1) == y) > 0.9


def test_options_change_the_training_data_only():
    plain = lrlearn.tasks.load("digits/mlp")
    task = lrlearn.tasks.load(
        "digits/mlp", train_size=500, label_noise=0.2, batch_size=7, seed=3
    )
    for a, b in zip(
        [*plain.validation, *plain.test], [*task.validation, *task.test], strict=True
    ):
        np.testing.assert_array_equal(a, b)
    labels = {x.tobytes(): y for x, y in zip(*plain.train, strict=True)}
    wrong = sum(labels[x.tobytes()] != y for x, y in zip(*task.train, strict=True))
    assert len(task.train[0]) == 500 and wrong == 100
    assert task.batch("train", [0, 0])[0].shape == (7, 8, 8, 1)


def test_options_seed():
    def labels(seed):
        return lrlearn.tasks.load(train_size=200, label_noise=0.5, seed=seed).train[1]

    np.testing.assert_array_equal(labels(0), labels(0))
    assert np.any(labels(0) != labels(1))


@pytest.mark.parametrize(
    "options",
    [{"train_size": 1101}, {"label_noise": 1}, {"batch_size": 0}],
    ids=str,
)
def test_options_out_of_range(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        lrlearn.tasks.load("digits/mlp", **options)


@pytest.mark.parametrize(
    "name, shape, num_params",
    [
        ("mnist", (28, 28, 1), 15_910),
        ("fashion_mnist", (28, 28, 1), 15_910),
        ("cifar10", (32, 32, 3), 61_670),
    ],
)
def test_other_data_sets(name, shape, num_params, monkeypatch, tmp_path):
    def read(name, path):
        images = np.zeros((6000, *shape), "uint8")
        labels = (np.arange(6000) % 10).astype("uint8")
        return (images, labels), (images[:100], labels[:100])

    monkeypatch.setattr(tfds_reader, "read", read)
    monkeypatch.setenv("LRLEARN_CACHE", str(tmp_path))
    task = lrlearn.tasks.load(f"{name}/mlp", data_dir=tmp_path, train_size=100)
    assert task.num_params == num_params
    assert task.batch("validation", [0, 0])[0].shape == (128, *shape)


def test_every_data_set_has_a_network_of_its_size():
    assert lrlearn.tasks.load("digits/cnn").num_params == 1898
