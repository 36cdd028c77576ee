"""The loss of a Keras model as a function of its parameters."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree


def model_loss(model, x, y, loss=None):
    """Returns a model's loss on some data as a pure function of its parameters.

    It holds the model's regularization losses too, as `model.evaluate` does.

    Args:
        model: A built Keras model.
        x: Inputs, an array or a structure of them.
        y: Targets.
        loss: As in `sharpness`. Defaults to `None`.

    Returns:
        A function of `(params, state=None)` that returns a float32 scalar: of the
        trainable variables' values, and of the others' where they are not to be the
        model's own.

    Raises:
        ValueError: As in `sharpness`.
    """
    if not model.built:
        raise ValueError("`model` must be built. Call it on data first.")
    loss = _single_loss(model.loss if loss is None else loss)
    _check_data(x, y)
    x, y = tree.map_structure(tf.convert_to_tensor, (x, y))
    trainable, other = model.trainable_variables, model.non_trainable_variables

    def loss_fn(params, state=None):
        mapping = [*zip(trainable, params, strict=True)]
        if state is not None:
            mapping += zip(other, state, strict=True)
        with keras.StatelessScope(mapping, collect_losses=True):
            outputs = model(x, training=False)
            penalties = model.losses
        value = ops.mean(ops.cast(loss(_like(outputs, y), outputs), "float32"))
        return sum((ops.cast(p, "float32") for p in penalties), value)

    return loss_fn


def _single_loss(loss):
    function = keras.losses.get(loss) if isinstance(loss, str) else loss
    if not callable(function):
        raise ValueError(
            "`loss` must be given, as one loss, unless the model is compiled with one. "
            f"Received: {loss=}"
        )
    return function


def _check_data(x, y):
    lengths = [np.shape(a)[0] for a in tree.flatten((x, y))]
    if len(set(lengths)) != 1 or lengths[0] == 0:
        raise ValueError(
            "`x` and `y` must hold the same number of examples, at least one. "
            f"Received: {lengths}"
        )


def _like(outputs, y):
    """Returns targets `[n]` as `[n, 1]` where the outputs are, lest they broadcast."""
    if tree.is_nested(outputs) or tree.is_nested(y):
        return y
    column = len(outputs.shape) == len(y.shape) + 1 and outputs.shape[-1] == 1
    return y[..., None] if column else y
