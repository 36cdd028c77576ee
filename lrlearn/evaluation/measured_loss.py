"""The loss of a Keras model as a function of its parameters."""

import keras
import ml_dtypes

from lrlearn.evaluation.examples import collect, one_line
from lrlearn.models.passes import Pass, WithLoss, run_pass
from lrlearn.models.training_loss import parameters


def model_loss(model, x, y=None, loss=None, sample_weight=None):
    """Returns a model's loss on some data as a pure function of its parameters.

    It is what `model.evaluate` returns for these data as one batch: with masks, sample
    weights, several outputs and their weights, the model's own regularization losses,
    and `compute_loss` or `test_step` where a model overrides them.

    Args:
        model: A built Keras model.
        x: Inputs, an array or a structure of them, or a finite data set of batches;
            what `model.evaluate` takes.
        y: Targets, unless `x` is a data set. Defaults to `None`.
        loss: As in `sharpness`. Defaults to `None`.
        sample_weight: Weights of the examples, or `None`. Defaults to `None`.

    Returns:
        A function of `(params, state=None)` that returns a scalar, in the type in
        which Keras computes it: of the values of the trainable variables (without those
        that Keras overwrites, such as float8 scales), and of the others' if they are
        not to be the model's own. Its attribute `compute_dtype` is the name of the
        coarsest type in which the model computes.

    Raises:
        ValueError: As in `sharpness`.
    """
    if not model.built:
        raise ValueError("`model` must be built. Call it on data first.")
    if loss is None and not model.compiled:
        raise ValueError(
            "`loss` must be given unless the model is compiled. Received: loss=None"
        )
    data = collect(x, y, sample_weight)
    measured = model if loss is None else _with_loss(model, loss)
    run = _run_test_step if _overrides_test_step(measured) else _run_pass
    trainable, other = parameters(model), model.non_trainable_variables

    def loss_fn(params, state=None):
        values = [*zip(trainable, params, strict=True)]
        if state is not None:
            values += zip(other, state, strict=True)
        with Pass(values):
            return run(measured, data)

    loss_fn.compute_dtype = _coarsest_dtype(model)
    _try(loss_fn, trainable)
    return loss_fn


def _with_loss(model, loss):
    try:
        return WithLoss(model, loss)
    except Exception as error:
        raise ValueError(
            "`loss` must be what `keras.Model.compile` takes. "
            f"Received: {loss=}; Keras says: {one_line(error)}"
        ) from None


def _run_pass(model, data):
    return run_pass(model, data, training=False)[0]


def _run_test_step(model, data):
    """Returns the loss that a model's own step logs, from metrics that start anew."""
    for metric in model.metrics:
        metric.reset_state()
    logs = model.test_step(data)
    if "loss" not in logs:
        raise ValueError(f"`test_step` must return a 'loss'. Received: {sorted(logs)}")
    return logs["loss"]


def _overrides_test_step(model):
    return type(model).test_step is not keras.Model.test_step


def _try(loss_fn, variables):
    """Raises one line if the loss cannot be computed."""
    try:
        loss = loss_fn([v.value for v in variables])
        rank = len(loss.shape)
    except Exception as error:
        raise ValueError(
            "The loss must be one that `model.evaluate` can compute on `x` and `y`. "
            f"Received: {one_line(error)}"
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
