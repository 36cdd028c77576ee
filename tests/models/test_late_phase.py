"""`start_fraction`: plain gradients first."""

import keras
import numpy as np
import pytest

from lrlearn.regularizers import SAM
from tests.models.conftest import (
    TARGETS,
    X,
    go_on,
    same_model,
    sharpness_aware,
    train,
)

pytestmark = pytest.mark.any_backend

FAR = SAM(0.5)


class _Record(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(self.model.get_weights()[0])


def _trajectory(optimizer=None, **arguments):
    """Returns the model, and the kernel after each of twelve steps."""
    model, record = sharpness_aware(same_model("linear")), _Record()
    train(
        model,
        "linear",
        optimizer,
        epochs=4,
        fit={"callbacks": [record]},
        run_eagerly=keras.backend.backend() == "tensorflow",
        **arguments,
    )
    return model, np.array(record.kernels)


def _first_difference(a, b):
    return int(np.argmax(np.any(a != b, axis=(1, 2))))


def _sgd(**arguments):
    return keras.optimizers.SGD(0.1, **arguments)


@pytest.fixture(name="plain", scope="module")
def _plain():
    return _trajectory(_sgd())[1]


@pytest.mark.parametrize("fraction, first", [(0.0, 0), (0.5, 6), (0.7, 9), (0.99, 12)])
def test_the_first_steps_are_plain(plain, fraction, first):
    """Of 12, those before `ceil(12 fraction)`."""
    _, kernels = _trajectory(_sgd(), regularizer=FAR, start_fraction=fraction)
    np.testing.assert_array_equal(kernels[:first], plain[:first])
    if first < 12:
        assert _first_difference(kernels, plain) == first


@pytest.mark.parametrize("wrap", [lambda x: x, keras.optimizers.LossScaleOptimizer])
def test_counts_in_steps_of_the_optimizer(wrap):
    """Under gradient accumulation these are fewer."""
    optimizers = [wrap(_sgd(gradient_accumulation_steps=2)) for _ in range(2)]
    _, plain = _trajectory(optimizers[0])
    _, kernels = _trajectory(optimizers[1], regularizer=FAR, start_fraction=0.5)
    assert _first_difference(kernels, plain) == 7  # where the seventh batch is used


def test_each_fit_has_its_own_phases():
    """The optimizer's iterations go on; in a graph, too."""
    models = [sharpness_aware(same_model("linear")) for _ in range(2)]
    train(models[0], "linear", _sgd())
    train(models[1], "linear", _sgd(), regularizer=FAR, start_fraction=0.99)
    models[1].set_weights(models[0].get_weights())
    histories = [go_on(model, "linear") for model in models]
    assert histories[0]["loss"] == histories[1]["loss"]


def test_training_goes_on_with_initial_epoch():
    """As if it had not been interrupted."""
    _, kernels = _trajectory(_sgd(), regularizer=FAR, start_fraction=0.5)
    model = sharpness_aware(same_model("linear"))
    train(model, "linear", _sgd(), epochs=1)
    model.compile(
        model.optimizer,
        model.loss,
        regularizer=FAR,
        start_fraction=0.5,
        run_eagerly=keras.backend.backend() == "tensorflow",
    )
    go_on(model, "linear", epochs=4, initial_epoch=1)
    np.testing.assert_allclose(model.get_weights()[0], kernels[-1], rtol=1e-5)


def test_needs_to_know_the_number_of_steps():
    """One line where it cannot."""
    model = sharpness_aware(same_model("linear"))
    arguments = {"regularizer": "sam", "start_fraction": 0.5}
    model.compile("sgd", "mse", **arguments)
    endless = (batch for batch in [(X, TARGETS)] * 3)
    with pytest.raises(ValueError, match="`steps_per_epoch` must be given"):
        model.fit(endless, shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="`start_fraction` must be 0 unless `fit`"):
        model.train_on_batch(X, TARGETS)


def test_takes_any_callbacks():
    """One alone, or `fit` without names."""
    model = sharpness_aware(same_model("linear"))
    train(
        model,
        "linear",
        regularizer="sam",
        start_fraction=0.5,
        epochs=1,
        fit={"callbacks": keras.callbacks.TerminateOnNaN()},
    )
    model.fit(X, TARGETS, 12, 1, 0, [keras.callbacks.TerminateOnNaN()])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan"), "late"])
def test_bad_fractions_are_refused(fraction):
    """The last step, at least, is regularized."""
    with pytest.raises(ValueError, match="`start_fraction` must be a number"):
        same = sharpness_aware(same_model("linear"))
        same.compile("sgd", "mse", regularizer="sam", start_fraction=fraction)


def test_compile_forgets_the_last_fit():
    """`train_on_batch` after it says that it needs `fit`."""
    model, _ = _trajectory(_sgd(), regularizer=FAR, start_fraction=0.5)
    model.compile("sgd", model.loss, regularizer="sam", start_fraction=0.5)
    with pytest.raises(ValueError, match="unless `fit` was called"):
        model.train_on_batch(X, TARGETS)
