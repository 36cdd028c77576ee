"""Regression: of a table, and of images on themselves."""

import keras
import numpy as np
from keras import layers

from lrlearn.tasks import datasets
from lrlearn.tasks.metrics import r2
from lrlearn.tasks.task import Task

_LARGEST = 16.0  # pixel of digits
_DIABETES = {"train": 262, "validation": 80, "test": 100}


def autoencoder(batch_size=64, name="digits/autoencoder"):
    """Returns the task of reproducing digits from 8 numbers.

    Args:
        batch_size: Images in a batch. Defaults to `64`.
        name: See `Task`.
    """
    data = {
        split: (x, x.reshape(len(x), -1) / np.float32(_LARGEST))
        for split, (x, _) in datasets.splits("digits").items()
    }
    return Task(
        make_autoencoder, "mse", batch_size=batch_size, name=name, metric=r2, **data
    )


def diabetes(batch_size=32, name="diabetes/mlp"):
    """Returns the task of predicting the progress of a disease from ten measurements.

    Inputs and targets are standardized by the training data.

    Args:
        batch_size: Patients in a batch. Defaults to `32`.
        name: See `Task`.

    Reference:
        [Efron et al., 2004](https://doi.org/10.1214/009053604000000067).
    """
    data = _standardized_diabetes()
    return Task(make_mlp, "mse", batch_size=batch_size, name=name, metric=r2, **data)


def make_autoencoder():
    """Returns a new model of uint8 images `[8, 8, 1]`."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), dtype="uint8"),
            layers.Rescaling(1 / _LARGEST),
            layers.Flatten(),
            layers.Dense(32, "relu"),
            layers.Dense(8),
            layers.Dense(32, "relu"),
            layers.Dense(64),
        ]
    )


def make_mlp():
    """Returns a new model with two hidden layers."""
    hidden = [layers.Dense(20, "relu"), layers.Dense(20, "relu")]
    return keras.Sequential([keras.Input((10,)), *hidden, layers.Dense(1)])


def _standardized_diabetes():
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True, scaled=False)
    # RandomState, whose sequences NumPy has frozen: the splits never change.
    rows = np.random.RandomState(0).permutation(len(x))
    parts = np.split(rows, np.cumsum(list(_DIABETES.values()))[:-1])
    parts = dict(zip(_DIABETES, parts, strict=True))
    x, y = (_standardize(a, a[parts["train"]]) for a in (x, y[:, None]))
    return {split: (x[rows], y[rows]) for split, rows in parts.items()}


def _standardize(a, train):
    return ((a - train.mean(axis=0)) / train.std(axis=0)).astype("float32")
