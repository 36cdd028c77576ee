"""Small models of all kinds, and what to train them on."""

import keras
import numpy as np
import pytest
from keras import layers

import lrlearn

SIZE = 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(SIZE, 4)).astype("float32")
SEQUENCES = RNG.normal(size=(SIZE, 3, 2)).astype("float32")
SEQUENCES[RNG.uniform(size=(SIZE, 3)) < 0.3] = 0.0
LABELS = RNG.integers(0, 3, SIZE)
TARGETS = RNG.normal(size=(SIZE, 1)).astype("float32")
WEIGHTS = RNG.uniform(0.0, 2.0, SIZE).astype("float32")


def classifier():
    """Has all that a second pass could disturb."""
    inputs = keras.Input((4,))
    h = layers.Dense(6, kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    h = layers.BatchNormalization()(h)
    h = layers.Activation("tanh")(h)
    h = layers.ActivityRegularization(l2=0.01, dtype="float32")(h)  # mixed: Keras fails
    h = layers.Dropout(0.4, seed=1)(h)
    outputs = layers.Dense(3)(h)
    return keras.Model(inputs, outputs)


def masked():
    """The mask reaches the loss and the metrics."""
    inputs = keras.Input((3, 2))
    h = layers.Masking()(inputs)
    h = layers.SimpleRNN(4, return_sequences=True)(h)
    return keras.Model(inputs, layers.Dense(1)(h))


def two_outputs():
    """One loss a head; the layer `unused` gets no gradient."""
    inputs = keras.Input((4,), name="x")
    h = layers.Dense(4, "tanh")(inputs)
    outputs = {
        "a": layers.Dense(3, name="a")(h),
        "b": layers.Dense(1, name="b")(h),
        "c": layers.Dense(1, name="unused")(h),
    }
    return keras.Model({"x": inputs}, outputs)


def plain_linear(**layer):
    """Is `w x`, and starts at `w = (1, -1, 0.5, 2)`."""
    inputs = keras.Input((4,))
    w = keras.initializers.Constant(np.float32([[1.0], [-1.0], [0.5], [2.0]]))
    outputs = layers.Dense(1, use_bias=False, kernel_initializer=w, **layer)(inputs)
    return keras.Model(inputs, outputs)


def linear(**layer):
    return sharpness_aware(plain_linear(**layer))


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# A model, its arguments of `compile` and those of `fit`.
PROBLEMS = {
    "linear": (plain_linear, lambda: {"loss": "mse"}, {"x": X, "y": TARGETS}),
    "classifier": (
        classifier,
        lambda: {"loss": cross_entropy(), "weighted_metrics": ["accuracy"]},
        {"x": X, "y": LABELS, "sample_weight": WEIGHTS},
    ),
    "class weights": (
        classifier,
        lambda: {"loss": cross_entropy(), "metrics": ["accuracy"]},
        {"x": X, "y": LABELS, "class_weight": {0: 1.0, 1: 0.0, 2: 5.0}},
    ),
    "masked": (
        masked,
        lambda: {"loss": "mse", "metrics": ["mae"]},
        {"x": SEQUENCES, "y": np.repeat(TARGETS[:, None], 3, axis=1)},
    ),
    "two outputs": (
        two_outputs,
        lambda: {
            "loss": {"a": cross_entropy(), "b": "mse", "c": None},
            "loss_weights": {"a": 1.0, "b": 0.5, "c": 0.0},
            "metrics": {"a": ["accuracy"]},
        },
        {"x": {"x": X}, "y": {"a": LABELS, "b": TARGETS, "c": TARGETS}},
    ),
}


def same_model(name):
    """Returns a problem's model; all of them start alike."""
    keras.utils.set_random_seed(3)
    return PROBLEMS[name][0]()


def train(model, name, optimizer=None, epochs=2, fit=None, **arguments):
    """Returns what `fit` logs; `model` may be given sharpness-aware."""
    _, compile_arguments, data = PROBLEMS[name]
    optimizer = keras.optimizers.Adam(0.01) if optimizer is None else optimizer
    model.compile(optimizer, **compile_arguments(), **arguments)
    return go_on(model, name, epochs, **(fit or {}))


def go_on(model, name, epochs=2, **fit):
    data = PROBLEMS[name][2]
    # The last batch is smaller.
    return model.fit(
        **data, batch_size=10, epochs=epochs, shuffle=False, verbose=0, **fit
    ).history


def sharpness_aware(model):
    return lrlearn.SharpnessAwareModel.from_model(model)


def assert_equal(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(params=PROBLEMS)
def name(request):
    """Name of a problem."""
    return request.param
