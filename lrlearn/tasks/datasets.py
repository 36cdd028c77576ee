"""The data of the ready-made tasks: images of ten classes, in fixed splits."""

import numbers

import numpy as np

from lrlearn.tasks import array_cache, tfds_reader
from lrlearn.tasks.task import SPLITS

# Sizes of the validation and test sets; TFDS's data come with a test set of their own.
_VALIDATION = {
    "digits": 247,
    "mnist": 5000,
    "fashion_mnist": 5000,
    "cifar10": 5000,
}
_DIGITS_TEST = 450
NAMES = tuple(_VALIDATION)


def splits(name, data_dir=None):
    """Returns the three parts of a data set.

    | data set | image | train | validation | test |
    |---|---|---|---|---|
    | `digits` | 8x8x1, 0..16 | 1,100 | 247 | 450 |
    | `mnist`, `fashion_mnist` | 28x28x1, 0..255 | 55,000 | 5,000 | 10,000 |
    | `cifar10` | 32x32x3, 0..255 | 45,000 | 5,000 | 10,000 |

    Validation examples are drawn from the training data with a fixed seed, so they are
    always the same. The test set is the authors' own. `digits` has none, so it is drawn
    with the same fixed seed.

    Args:
        name: One of `NAMES`.
        data_dir: Folder of TensorFlow Datasets. Defaults to `None`: the environment
            variable TFDS_DATA_DIR, else `~/tensorflow_datasets`.

    Returns:
        A dict of `"train"`, `"validation"` and `"test"` to `(x, y)`: uint8 images and
        int32 labels.

    Raises:
        FileNotFoundError: If the data are not there and cannot be downloaded.
    """
    parts = _digits() if name == "digits" else _cached(name, data_dir)
    return {split: (x, y.astype("int32")) for split, (x, y) in parts.items()}


def subset(train, size, seed):
    """Returns `size` random examples of `train`, or all if `size` is `None`."""
    if size is None:
        return train
    if not isinstance(size, int | np.integer) or not 1 <= size <= len(train[0]):
        raise ValueError(
            f"`train_size` must be an integer from 1 to {len(train[0])}, the number of "
            f"training examples. Received: train_size={size!r}"
        )
    rows = np.random.default_rng([seed, 0]).permutation(len(train[0]))[:size]
    return tuple(a[rows] for a in train)


def corrupt(labels, fraction, num_classes, seed):
    """Returns new labels; `round(fraction * n)` of `n` are a random other class."""
    if not isinstance(fraction, numbers.Real) or not 0 <= fraction < 1:
        raise ValueError(
            f"`label_noise` must be in [0, 1). Received: label_noise={fraction!r}"
        )
    rng = np.random.default_rng([seed, 1])
    count = round(fraction * len(labels))
    rows = rng.permutation(len(labels))[:count]
    labels = labels.copy()
    shift = rng.integers(1, num_classes, count)
    labels[rows] = (labels[rows] + shift) % num_classes
    return labels


def _digits():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype("uint8")
    rest, test = _split(images, labels, _DIGITS_TEST)
    train, validation = _split(*rest, _VALIDATION["digits"])
    return {"train": train, "validation": validation, "test": test}


def _cached(name, data_dir):
    folder = tfds_reader.folder(data_dir)
    file = array_cache.path(name, folder)
    arrays = array_cache.read(file, tfds_reader.stamp(name, folder))
    if arrays is None:
        rest, test = tfds_reader.read(name, folder)
        train, validation = _split(*rest, _VALIDATION[name])
        arrays = _flatten({"train": train, "validation": validation, "test": test})
        array_cache.write(file, tfds_reader.stamp(name, folder), arrays)
    return {split: (arrays[f"x_{split}"], arrays[f"y_{split}"]) for split in SPLITS}


def _flatten(parts):
    return {
        f"{letter}_{split}": array
        for split, part in parts.items()
        for letter, array in zip("xy", part, strict=True)
    }


def _split(x, y, size):
    """Returns `(x, y)` without `size` random examples, and those examples."""
    # RandomState, whose sequences NumPy has frozen: the splits never change.
    rows = np.random.RandomState(0).permutation(len(x))
    return (x[rows[size:]], y[rows[size:]]), (x[rows[:size]], y[rows[:size]])
