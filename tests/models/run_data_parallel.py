"""Trains on two JAX devices; for `test_distribution`, in a process of its own."""

import jax
import keras
import numpy as np

from lrlearn.regularizers import SAM
from tests.models.conftest import TARGETS, X, linear, same_model, sharpness_aware, train
from tests.models.quadratic import RATE, RHO, W, close, gradient, sam

assert len(jax.devices()) == 2


def train_classifier():
    """Returns the losses of a model of all kinds of layers."""
    model = sharpness_aware(same_model("classifier"))
    return train(model, "classifier", regularizer=SAM(0.1), start_fraction=0.5)["loss"]


def check_classifier():
    """Trains as on one device."""
    expected = train_classifier()
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    np.testing.assert_allclose(train_classifier(), expected, rtol=1e-5)


def check_perturbation():
    """It is that of the whole batch."""
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", regularizer=SAM(RHO))
    model.fit(X, TARGETS, batch_size=24, shuffle=False, verbose=0)
    (kernel,) = model.get_weights()
    close(kernel, W - RATE * sam(W))


def check_change():
    """A radius may change while Keras holds the variables' values elsewhere."""
    model = linear()
    model.compile(keras.optimizers.SGD(RATE), "mse", regularizer=SAM(0.0))

    def change(batch, logs):
        model.regularizer.rho = RHO

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=change)
    twice = {"x": np.tile(X, (2, 1)), "y": np.tile(TARGETS, (2, 1))}
    settings = {"batch_size": 24, "shuffle": False, "verbose": 0}
    model.fit(**twice, **settings, callbacks=[callback])
    expected = W - RATE * gradient(W)
    close(model.get_weights()[0], expected - RATE * sam(expected))


if __name__ == "__main__":
    check_classifier()
    check_perturbation()
    check_change()
    print("done")
