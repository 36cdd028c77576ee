"""Collections of small tasks to meta-train on."""

import re

import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.tasks import collections, datasets, tfds_reader


@pytest.fixture(scope="module", name="digits")
def _digits():
    return {task.name: task for task in lrlearn.tasks.load_collection("digits")}


@pytest.fixture(name="small_images")
def _small_images(tmp_path, monkeypatch):
    """The tasks, of images that stand for MNIST's: pixels of row r are r."""

    def read(name, path):
        rows = np.arange(28, dtype="uint8")[None, :, None, None]
        images = np.broadcast_to(rows, (9000, 28, 28, 1)).copy()
        labels = (np.arange(9000) % 10).astype("uint8")
        return (images, labels), (images[:100], labels[:100])

    monkeypatch.setattr(tfds_reader, "read", read)
    monkeypatch.setenv("LRLEARN_CACHE", str(tmp_path))
    tasks = lrlearn.tasks.load_collection(data_dir=tmp_path)
    return {task.name: task for task in tasks}


def _wrong_labels(task, images, labels):
    """Returns the number of training labels that are not the images' own."""
    own = {x.tobytes(): y for x, y in zip(images, labels, strict=True)}
    return sum(own[x.tobytes()] != y for x, y in zip(*task.train, strict=True))


def test_tasks_differ(digits, small_images):
    """In their names, which tell them apart in a history."""
    assert collections.COLLECTIONS == ("small_images", "digits")
    assert len(digits) == 5 and len(small_images) == 12
    assert len({task.num_params for task in small_images.values()}) >= 6
    assert {task.batch_size for task in small_images.values()} == {32, 64, 128}


def test_some_are_convolutional(small_images):
    """Two, with kernels for the 2x2 pixels of a patch."""
    shapes = {
        name: [tuple(w.shape) for w in task.model.weights]
        for name, task in small_images.items()
        if "convolutional" in name
    }
    assert shapes == {
        "mnist8/8-16 relu, convolutional, 1000, noise 0.2": [
            *((4, 8), (8,), (32, 16), (16,), (64, 10), (10,))
        ],
        "mnist14/6 relu, convolutional, inverted": [*((4, 6), (6,), (294, 10), (10,))],
    }


def test_splits(digits):
    """Training and validation data; the test data stay unseen."""
    parts = datasets.splits("digits")
    test = {x.tobytes() for x in parts["test"][0]}
    for name, task in digits.items():
        assert task.test is None
        if "synthetic" in name:
            continue
        # Pixels up to 16 are multiplied by 255 / 16, and cut to whole numbers.
        train, validation = (
            np.ceil((255 - x if "inverted" in name else x) / (255 / 16)).astype("uint8")
            for x, _ in (task.train, task.validation)
        )
        np.testing.assert_array_equal(validation, parts["validation"][0])
        np.testing.assert_array_equal(task.validation[1], parts["validation"][1])
        assert not test & {x.tobytes() for x in train}


def test_names_tell_size_and_noise(digits):
    """Of `round(noise * size)` training labels, all are wrong."""
    x, y = datasets.splits("digits")["train"]
    pixels = (x * (255 / 16)).astype("uint8")
    for name, (size, noise) in {
        "digits/20 sigmoid": (1100, 0.0),
        "digits/24 relu, 500, noise 0.2": (500, 0.2),
        "digits/24-16 tanh, 500, noise 0.4": (500, 0.4),
    }.items():
        task = digits[name]
        assert len(task.train[0]) == len(task.train[1]) == size
        assert _wrong_labels(task, pixels, y) == round(noise * size)
    layers = digits["digits/24-16 tanh, 500, noise 0.4"].model.layers
    assert [layer.units for layer in layers if hasattr(layer, "units")] == [24, 16, 10]


def test_pixels(digits):
    """uint8 over the whole range; inverted ones have a large mean."""
    for name, task in digits.items():
        for x, y in (task.train, task.validation):
            assert x.dtype == "uint8" and y.dtype == "int32"
            assert (x.min(), x.max()) == (0, 255)
            assert set(np.unique(y)) == set(range(10))
        mean = task.train[0].mean() / 255
        if "inverted" in name:
            assert mean > 0.6
        elif "synthetic" not in name:
            assert mean < 0.4
    plain, inverted = (
        digits[name].train[0]
        for name in ("digits/20 sigmoid", "digits/20 relu, inverted")
    )
    np.testing.assert_array_equal(inverted, 255 - plain)


def test_synthetic_data_are_fixed_and_learnable(digits):
    """A linear model of half of the examples tells most labels of the others."""
    x, y = digits["synthetic/32 relu"].train
    assert x.shape == (20_000, 6, 8, 1)
    np.testing.assert_array_equal(x, collections._synthetic()[0][0])
    x = np.column_stack([x.reshape(len(x), -1) / 255.0, np.ones(len(x))])
    weights, *_ = np.linalg.lstsq(x[:10_000], np.eye(10)[y[:10_000]], rcond=None)
    assert np.mean((x[10_000:] @ weights).argmax(1) == y[10_000:]) > 0.5


def test_the_seed_chooses_examples_and_noise():
    """The rest is the same."""
    name = "digits/24 relu, 500, noise 0.2"
    one, same, other = (
        {task.name: task for task in lrlearn.tasks.load_collection("digits", seed=seed)}
        for seed in (0, 0, 1)
    )
    assert one.keys() == other.keys()
    for index in range(2):
        np.testing.assert_array_equal(one[name].train[index], same[name].train[index])
        assert np.any(one[name].train[index] != other[name].train[index])
        expected = one[name].validation[index]
        np.testing.assert_array_equal(other[name].validation[index], expected)


def test_pooled_images(small_images):
    """Blocks of 3 of the inner 24 rows, of 2 and of 1: their means."""
    for side, rows in {
        8: 2 + 3 * np.arange(8) + 1,
        14: 2 * np.arange(14),  # and a half, cut
        28: np.arange(28),
    }.items():
        found = [name for name in small_images if name.startswith(f"mnist{side}/")]
        assert found
        for name in found:
            x = small_images[name].train[0]
            assert x.shape[1:] == (side, side, 1)
            expected = 255 - rows if "inverted" in name else rows
            np.testing.assert_array_equal(x[0, :, 0, 0], expected)


def test_models_fit_their_data(small_images):
    """Each gives ten logits of an example, and its loss is near that of guessing."""
    for task in small_images.values():
        x, y = (tf.constant(array[:20]) for array in task.validation)
        loss, logits, _ = task.evaluate_loss(*task.init(0), x, y)
        assert logits.shape == (20, 10)
        assert abs(float(loss) - np.log(10)) < 1.5


@pytest.mark.parametrize("name", ["small", "", None])
def test_unknown_names_list_the_valid_ones(name):
    """In one line."""
    message = (
        f"A collection must be one of ('small_images', 'digits'). Received: {name!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        lrlearn.tasks.load_collection(name)
