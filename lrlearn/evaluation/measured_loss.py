"""The loss of a Keras model as a function of its parameters."""

import re
import warnings

import keras
import ml_dtypes
import tensorflow as tf

from lrlearn.models.passes import Pass, WithLoss, run_pass
from lrlearn.models.training_loss import parameters

_BATCH_SIZE = 1024


def model_loss(model, x, y=None, loss=None, sample_weight=None):
    """Returns a model's loss on some data as a pure function of its parameters.

    The value is the one that `model.evaluate` returns for these data as one batch: with
    masks, sample weights, several outputs and their weights, the model's own
    regularization losses, and its own `compute_loss` or `test_step`.

    Args:
        model: A built Keras model.
        x: Inputs, or a finite data set of batches; see `sharpness`.
        y: Targets, unless `x` is a data set. Defaults to `None`.
        loss: As in `sharpness`. Defaults to `None`.
        sample_weight: Weights of the examples, or `None`. Defaults to `None`.

    Returns:
        A function of `(params, state=None)` that returns a scalar. `params` are the
        values of `parameters(model)`; `state` are those of the model's non-trainable
        variables, by default their present ones. Its attribute `compute_dtype` is the
        name of the coarsest type in which the model computes.

    Raises:
        ValueError: As in `sharpness`.
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            "`model` must be a keras.Model that is built; if it is not, call it on "
            f"data. Received: {_kind(model)}"
        )
    if loss is None and not model.compiled:
        raise ValueError(
            "`loss` must be given unless the model is compiled. Received: loss=None"
        )
    data = _collect(x, y, sample_weight)
    measured = model if loss is None else _with_loss(model, loss)
    own_test_step = type(measured).test_step is not keras.Model.test_step
    trainable, other = parameters(model), model.non_trainable_variables

    def loss_fn(params, state=None):
        values = [*zip(trainable, params, strict=True)]
        if state is not None:
            values += zip(other, state, strict=True)
        with Pass(values):
            if own_test_step:
                return _run_test_step(measured, data)
            return run_pass(measured, data, training=False)[0]

    loss_fn.compute_dtype = _coarsest_dtype(model)
    _try(loss_fn, trainable, data)
    return loss_fn


def _collect(x, y, sample_weight):
    """Returns `(x, y, sample_weight)` as Keras hands them to a model, in one batch."""
    if (
        isinstance(x, tf.data.Dataset)
        and x.cardinality() == tf.data.INFINITE_CARDINALITY
    ):
        raise ValueError("`x` must be finite. Received: an infinite tf.data.Dataset")
    batches = []
    settings = {"batch_size": _BATCH_SIZE, "verbose": 0}
    try:
        with warnings.catch_warnings():
            # Keras warns when a generator ends.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            _Collector(batches.append).evaluate(
                x, y, sample_weight=sample_weight, **settings
            )
    except Exception as error:
        raise ValueError(
            "`x`, `y` and `sample_weight` must be what `keras.Model.evaluate` takes. "
            f"Received: {_kind(x)}, {_kind(y)}, {_kind(sample_weight)}; Keras says: "
            f"{_one_line(error)}"
        ) from None
    if not batches:
        raise ValueError("`x` must hold at least one example. Received: none")
    return keras.tree.map_structure(_concatenate, *batches)


def _with_loss(model, loss):
    try:
        return WithLoss(model, loss)
    except Exception as error:
        raise ValueError(
            "`loss` must be what `keras.Model.compile` takes. "
            f"Received: {loss=}; Keras says: {_one_line(error)}"
        ) from None


def _run_test_step(model, data):
    """Returns the loss that a model's own `test_step` logs for one batch."""
    for metric in model.metrics:
        metric.reset_state()
    logs = model.test_step(data)
    if "loss" not in logs:
        raise ValueError(f"`test_step` must return a 'loss'. Received: {sorted(logs)}")
    return logs["loss"]


def _try(loss_fn, variables, data):
    """Raises one line if the loss cannot be computed."""
    try:
        loss = loss_fn([v.value for v in variables])
        rank = len(loss.shape)
    except Exception as error:
        raise ValueError(
            "The loss must be one that `model.evaluate` can compute on `x` and `y`. "
            f"Received: x={_kind(data[0])}, y={_kind(data[1])}; Keras says: "
            f"{_one_line(error)}"
        ) from None
    if rank:
        raise ValueError(
            f"The loss must be one number. Received: a tensor of shape {loss.shape}"
        )


def _coarsest_dtype(model):
    """Returns the name of the floating type with the largest rounding errors."""
    names = {layer.compute_dtype for layer in model._flatten_layers()}
    floats = [n for n in names if n is not None and keras.backend.is_float_dtype(n)]
    return max(floats, key=lambda name: ml_dtypes.finfo(name).eps)


def _one_line(error):
    """Returns an error's message on one line, shortened."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split()))  # colors
    return text if len(text) <= 200 else f"{text[:200]}..."


class _Collector(keras.Model):
    """Takes evaluation steps that keep their batch."""

    def __init__(self, keep):
        super().__init__()
        self.built, self._keep = True, keep
        self.compile(optimizer=None, run_eagerly=True)

    def test_step(self, data):
        self._keep(keras.utils.unpack_x_y_sample_weight(data))
        return {"batches": tf.ones(())}  # Keras needs a result


def _concatenate(*parts):
    if parts[0] is None or len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tf.SparseTensor):
        return tf.sparse.concat(0, parts)
    return tf.concat(parts, axis=0)


def _kind(value):
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return name if shape is None else f"{name} of shape {tuple(shape)}"
