"""What users override, and what they change in the middle of training."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import lrlearn
from lrlearn.regularizers import GSAM, SAM
from tests.models.conftest import TARGETS, X, linear, plain_linear, sharpness_aware
from tests.models.quadratic import RATE, RHO, W, close, gradient, sam, step

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize("takes_training", [False, True])
def test_compute_loss_may_be_overridden(takes_training):
    """With or without `training`, as in `keras.Model`."""

    class Old(lrlearn.SharpnessAwareModel):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return 2 * ops.mean(ops.square(ops.subtract(y_pred, y)))

    class New(lrlearn.SharpnessAwareModel):
        def compute_loss(self, x, y, y_pred, sample_weight=None, training=False):
            return (2 if training else 1) * ops.mean(
                ops.square(ops.subtract(y_pred, y))
            )

    model = linear()
    model = (New if takes_training else Old)(model.input, model.output)
    expected = W - RATE * sam(W, lambda w: 2 * gradient(w))
    close(step(model, loss_weights=None), expected)


class _Change(keras.callbacks.Callback):
    """Calls a function with the model after the first step."""

    def __init__(self, change):
        super().__init__()
        self._change = change

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            self._change(self.model)


def _rho(model):
    model.regularizer.rho = RHO


def _regularizer(model):
    model.regularizer = SAM(RHO)


def _name(model):
    model.regularizer = "sam"
    model.regularizer.rho = RHO


def _schedule(model):
    model.regularizer.rho.rho_min = RHO


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize(
    "first, change",
    [
        (SAM(0.0), _rho),
        (None, _regularizer),
        (GSAM(0.0), _regularizer),
        (None, _name),
        (SAM(lrlearn.regularizers.RhoSchedule(0.0, 2.0, lr_max=1e9)), _schedule),
    ],
)
def test_a_regularizer_may_change_between_steps(first, change, eager):
    """By a callback: as of the next step."""
    first = lrlearn.regularizers.get(first)
    first = first and type(first).from_config(first.get_config())
    model = linear()
    model.compile(
        keras.optimizers.SGD(RATE), "mse", regularizer=first, run_eagerly=eager
    )
    twice = {"x": np.tile(X, (2, 1)), "y": np.tile(TARGETS, (2, 1))}
    settings = {"batch_size": len(X), "shuffle": False, "verbose": 0}
    model.fit(**twice, **settings, callbacks=[_Change(change)])
    expected = W - RATE * gradient(W)
    close(model.get_weights()[0], expected - RATE * sam(expected))


def test_what_is_no_regularizer_cannot_be_assigned():
    """One line, and the model keeps its own."""
    model = linear()
    model.compile("sgd", "mse", regularizer="sam")
    with pytest.raises(ValueError, match="`regularizer` must be .* Received: regul"):
        model.regularizer = 0.05
    assert isinstance(model.regularizer, SAM)


def test_an_unchanged_regularizer_compiles_once():
    """Steps of a second `fit` go on with the same function."""
    model = linear()
    model.compile("sgd", "mse", regularizer="sam")
    functions = []
    for _ in range(2):
        model.fit(X, TARGETS, epochs=2, verbose=0)
        functions.append(model.train_function)
    assert functions[0] is functions[1]


def _float8(regularizer, steps=2):
    """Returns the model, and the values that Keras overwrites, by name."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    hidden = layers.Dense(3, name="first")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="last")(hidden))
    model.quantize("float8")
    if regularizer is not None:
        model = sharpness_aware(model)
    arguments = {} if regularizer is None else {"regularizer": regularizer}
    model.compile(keras.optimizers.SGD(0.01), "mse", **arguments)
    targets = np.repeat(TARGETS, 2, axis=1)
    model.fit(X, targets, batch_size=len(X), epochs=steps, verbose=0)
    overwritten = [v for v in model.trainable_variables if v.overwrite_with_gradient]
    return model, {v.path: ops.convert_to_numpy(v) for v in overwritten}


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`")
def test_scales_of_float8_layers_are_not_perturbed():
    """Radius 0 is Keras; with another, the scale of the inputs is what it is there."""
    _, expected = _float8(None)
    _, received = _float8(SAM(0.0))
    assert received.keys() == expected.keys() and len(received) == 12
    for key, value in expected.items():
        np.testing.assert_array_equal(received[key], value)
    _, received = _float8(SAM(0.05))
    scale = received["first/inputs_scale"]
    np.testing.assert_allclose(scale, np.abs(X).max() / 448, rtol=1e-6)


def test_only_overwritten_variables():
    """There is nothing to perturb; Keras takes the step."""
    inputs = keras.Input((4,))
    model = plain_linear()
    model = sharpness_aware(keras.Model(inputs, model(inputs)))
    (kernel,) = model.trainable_variables
    kernel.overwrite_with_gradient = True
    expected = gradient(W)
    close(step(model), expected)
