"""A linear model's squared error, and SAM on it, in NumPy."""

import keras
import numpy as np
from keras import ops

from lrlearn.regularizers import SAM
from tests.models.conftest import TARGETS, X

W = np.float32([[1.0], [-1.0], [0.5], [2.0]])
RHO, RATE = 0.3, 0.1


def gradient(w, x=X, y=TARGETS, weights=1.0):
    """Of the mean squared error of `x w`."""
    return 2 / len(x) * x.T @ (weights * (x @ w - y))


def sam(w, gradient=gradient, rho=RHO, **data):
    g = gradient(w, **data)
    return gradient(w + rho * g / np.linalg.norm(g), **data)


def step(
    model, x=X, y=TARGETS, regularizer=None, optimizer=None, steps=1, fit=None, **kw
):
    """Returns the kernel after some steps of plain gradient descent."""
    regularizer = SAM(RHO) if regularizer is None else regularizer
    optimizer = keras.optimizers.SGD(RATE) if optimizer is None else optimizer
    kw = {"run_eagerly": True, **kw}
    model.compile(optimizer, "mse", regularizer=regularizer, **kw)
    for _ in range(steps):
        model.train_on_batch(x, y, **(fit or {}))
    return ops.convert_to_numpy(model.trainable_variables[-1])


def close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=2e-5, atol=1e-6)
