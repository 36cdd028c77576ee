"""The loss that is measured is the one that `evaluate` returns."""

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from keras import layers, ops

from lrlearn.evaluation import loss_landscape, model_loss, parameters, sharpness

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))
SEQUENCES = RNG.normal(size=(12, 3, 2))
SEQUENCES[RNG.uniform(size=(12, 3)) < 0.4] = 0.0
TARGETS, LABELS = RNG.normal(size=(12, 1)), RNG.integers(0, 3, 12)
WEIGHTS = RNG.uniform(size=12)


def _dense(units=1, **arguments):
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(units, **arguments)(inputs))


def _masked(recurrent=layers.SimpleRNN):
    inputs = keras.Input((3, 2))
    h = recurrent(4, return_sequences=True)(layers.Masking()(inputs))
    return keras.Model(inputs, layers.Dense(1)(h))


def _two_outputs():
    inputs = keras.Input((4,))
    outputs = [layers.Dense(3, name="a")(inputs), layers.Dense(1, name="b")(inputs)]
    return keras.Model(inputs, outputs)


def _squares(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


class OwnComputeLoss(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 3 * ops.mean(ops.abs(ops.subtract(y_pred, y)))


class OwnTestStep(keras.Model):
    """As an autoencoder would have it."""

    def __init__(self):
        super().__init__()
        self.dense, self.tracker = layers.Dense(4), keras.metrics.Mean("loss")

    def call(self, x):
        return self.dense(x)

    def test_step(self, data):
        x, *_ = keras.utils.unpack_x_y_sample_weight(data)
        self.tracker.update_state(ops.mean(ops.square(self(x) - x)))
        return {"loss": self.tracker.result()}


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
EVERY_STEP = np.repeat(TARGETS[:, None], 3, axis=1)
CASES = {
    "mask": (_masked, {"loss": "mse"}, (SEQUENCES, EVERY_STEP)),
    "mask of a GRU": (
        lambda: _masked(layers.GRU),
        {"loss": "mse"},
        (SEQUENCES, EVERY_STEP),
    ),
    "mask and weights": (
        _masked,
        {"loss": "mse"},
        (SEQUENCES, EVERY_STEP, WEIGHTS[:, None]),
    ),
    "flat targets": (_dense, {"loss": "mse"}, (X, TARGETS[:, 0])),
    "a function": (_dense, {"loss": _squares}, (X, TARGETS)),
    "integers": (_dense, {"loss": _squares}, (X, LABELS[:, None])),
    "a list": (_dense, {"loss": ["mse"]}, (X, TARGETS)),
    "weights": (_dense, {"loss": "mae", "loss_weights": [2.0]}, (X, TARGETS, WEIGHTS)),
    "a sum": (
        _dense,
        {"loss": keras.losses.MeanSquaredError(reduction="sum")},
        (X, TARGETS),
    ),
    "labels": (lambda: _dense(3), {"loss": CROSS_ENTROPY}, (X, LABELS)),
    "a name for labels": (
        lambda: _dense(3, activation="softmax"),
        {"loss": "crossentropy"},
        (X, LABELS),
    ),
    "penalties": (
        lambda: _dense(kernel_regularizer="l2", activity_regularizer="l2"),
        {"loss": "mse"},
        (X, TARGETS),
    ),
    "two outputs": (
        _two_outputs,
        {"loss": {"a": CROSS_ENTROPY, "b": "mse"}, "loss_weights": {"a": 1, "b": 0.5}},
        (X, {"a": LABELS, "b": TARGETS}),
    ),
    "compute_loss": (OwnComputeLoss, {}, (X, TARGETS)),
    "test_step": (OwnTestStep, {}, (X,)),
}


def _compiled(name):
    make, arguments, data = CASES[name]
    keras.utils.set_random_seed(0)
    model = make()
    model.compile("sgd", **arguments)
    x, y, sample_weight = (*data, None, None)[:3]
    expected = model.evaluate(
        x, y, sample_weight=sample_weight, batch_size=12, verbose=0, return_dict=True
    )
    return model, {"x": x, "y": y, "sample_weight": sample_weight}, expected["loss"]


@pytest.mark.parametrize("name", CASES)
def test_is_that_of_evaluate(name):
    """Also as part of a graph."""
    model, data, expected = _compiled(name)
    loss_fn = model_loss(model, **data)
    for fn in (loss_fn, tf.function(loss_fn)):
        np.testing.assert_allclose(fn(parameters(model)), expected, rtol=2e-6)
    assert model.evaluate(**data, batch_size=12, verbose=0, return_dict=True)[
        "loss"
    ] == pytest.approx(expected)


def test_measures_have_it():
    """The clean loss, and the middle of the landscape."""
    model, data, expected = _compiled("weights")
    table = sharpness(model, **data, radii=[0.01], steps=1)
    np.testing.assert_allclose(table["clean_loss"], expected, rtol=2e-6)
    table = loss_landscape(model, **data, points=3)
    np.testing.assert_allclose(table["loss"][4], expected, rtol=2e-6)


@pytest.mark.parametrize("loss", ["mae", ["mae"], keras.losses.MeanAbsoluteError()])
def test_another_loss(loss):
    """The model keeps its own."""
    model, data, expected = _compiled("flat targets")
    value = model_loss(model, **data, loss=loss)(parameters(model))
    error = np.abs(model.predict(X, verbose=0)[:, 0] - TARGETS[:, 0])
    np.testing.assert_allclose(value, error.mean(), rtol=1e-6)
    assert model.loss == "mse"


def test_losses_by_name_of_the_output():
    """As `compile` takes them."""
    model, data, _ = _compiled("two outputs")
    losses = {"a": CROSS_ENTROPY, "b": "mae"}
    value = model_loss(model, **data, loss=losses)(parameters(model))
    other = _two_outputs()
    other.set_weights(model.get_weights())
    other.compile("sgd", losses)
    expected = other.evaluate(data["x"], data["y"], verbose=0, return_dict=True)
    np.testing.assert_allclose(value, expected["loss"], rtol=2e-6)


class _Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[index::3], TARGETS[index::3]


FORMS = {
    "arrays": lambda: (X, TARGETS),
    "tensors": lambda: (tf.constant(X), tf.constant(TARGETS)),
    "sparse": lambda: (scipy.sparse.csr_matrix(X), TARGETS),
    "dataset": lambda: (tf.data.Dataset.from_tensor_slices((X, TARGETS)).batch(5),),
    "weighted dataset": lambda: (
        tf.data.Dataset.from_tensors((X, TARGETS, np.ones(12))),
    ),
    "PyDataset": lambda: (_Batches(),),
    "generator": lambda: ((x for x in [(X[:5], TARGETS[:5]), (X[5:], TARGETS[5:])]),),
}


@pytest.mark.parametrize("form", FORMS)
def test_examples_in_all_forms(form):
    """Whatever `evaluate` takes."""
    model, _, expected = _compiled("flat targets")
    loss_fn = model_loss(model, *FORMS[form]())
    np.testing.assert_allclose(loss_fn(parameters(model)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name, bad",
    [
        ("flat targets", {"y": list(TARGETS[:, 0])}),
        ("flat targets", {"y": TARGETS[:5]}),
        ("flat targets", {"x": X[:0], "y": TARGETS[:0]}),
        ("flat targets", {"x": X[:, :3]}),
        ("flat targets", {"x": "data.csv"}),
        ("flat targets", {"y": None}),
        ("labels", {"y": LABELS + 5}),
        ("labels", {"loss": "msee"}),
        ("labels", {"loss": 3}),
        ("labels", {"loss": lambda y, p: y, "sample_weight": 3}),
    ],
)
def test_the_rest_gets_one_line(name, bad):
    """It says what must be, and what came."""
    model, data, _ = _compiled(name)
    with pytest.raises(ValueError, match="must .*Received: ") as caught:
        model_loss(model, **{**data, **bad})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_an_infinite_dataset_is_refused():
    """It would never end."""
    model, _, _ = _compiled("flat targets")
    forever = tf.data.Dataset.from_tensors((X, TARGETS)).repeat()
    with pytest.raises(ValueError, match="`x` must be finite"):
        model_loss(model, forever)


def test_a_model_without_loss_is_refused():
    """Unless one is given."""
    model = _dense()
    with pytest.raises(ValueError, match="`loss` must be given"):
        model_loss(model, X, TARGETS)
    model.compile("sgd")
    with pytest.raises(ValueError, match="No loss to compute"):
        model_loss(model, X, TARGETS)
    assert model_loss(model, X, TARGETS, loss="mse")(parameters(model)) > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_types(dtype):
    """That of the loss is Keras's, and the coarsest is known."""
    model = _dense(dtype=dtype)
    model.compile("sgd", "mse")
    loss_fn = model_loss(model, X, TARGETS)
    assert loss_fn(parameters(model)).dtype == tf.float32
    half = dtype in ("float16", "bfloat16")
    assert loss_fn.compute_dtype == (dtype if half else "float32")


def test_float64_stays_float64():
    """If that is Keras's type for all."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        model = _dense()
        model.compile("sgd", "mse")
        loss_fn = model_loss(model, X, TARGETS)
        residuals = X @ model.get_weights()[0] - TARGETS
        value = loss_fn(parameters(model))
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    assert value.dtype == tf.float64 and loss_fn.compute_dtype == "float64"
    np.testing.assert_allclose(value, np.mean(residuals**2), rtol=1e-13)


def test_overwritten_variables_are_no_parameters():
    """Scales of float8 layers are not moved."""
    model = keras.Sequential([layers.Dense(2, name="first")])
    model.build((None, 4))
    model.layers[0].quantize("float8")
    model.compile("sgd", "mse")
    assert len(parameters(model)) == 2 < len(model.trainable_variables)
    table = sharpness(model, X, np.zeros((12, 2)), radii=[0.01], steps=1)
    assert np.isfinite(table.to_numpy()).all()
