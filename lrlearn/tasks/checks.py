"""Checks of a task's arguments: each raises one clear line."""

import keras
import numpy as np


def examples(split, data):
    """Returns `data` as a tuple of arrays `(x, y)`, or `None` if it is `None`."""
    if data is None:
        if split == "train":
            raise ValueError("`train` must be a tuple (x, y). Received: train=None")
        return None
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(
            f"`{split}` must be a tuple (x, y). Received: {type(data).__name__}"
        )
    x, y = (_array(a) for a in data)
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise ValueError(
            f"`{split}` must hold as many inputs as targets. "
            f"Received: shapes {x.shape} and {y.shape}"
        )
    if not len(x):
        raise ValueError(
            f"`{split}` must hold at least one example. Received: shape {x.shape}"
        )
    return x, y


def loss(identifier):
    """Returns the function `(y_true, y_pred)` of a Keras loss, name or function."""
    function = keras.losses.get(identifier)
    if not callable(function):
        raise ValueError(
            "`loss` must be a Keras loss, its name, or a function (y_true, y_pred). "
            f"Received: loss={identifier!r}"
        )
    return function


def metric(function):
    """Returns a metric, a function whose name can be that of a column."""
    name = getattr(function, "__name__", "")
    if not callable(function) or not name.isidentifier() or name == "loss":
        raise ValueError(
            "`metric` must be a function (y_true, y_pred) with a name, other than "
            f"'loss'. Received: metric={function!r}"
        )
    return function


def batch_fn(function):
    """Returns a function that draws batches, or `None`."""
    if function is not None and not callable(function):
        raise ValueError(
            "`batch_fn` must be a function of a seed that returns (x, y). "
            f"Received: batch_fn={function!r}"
        )
    return function


def batch(drawn, train, size):
    """Returns what a `batch_fn` has drawn, which must be like rows of `train`."""
    expected = [((size, *a.shape[1:]), a.dtype.name) for a in train]
    found = type(drawn).__name__
    if isinstance(drawn, tuple | list) and all(hasattr(a, "dtype") for a in drawn):
        found = [(tuple(a.shape), a.dtype.name) for a in drawn]
    if found != expected:
        raise ValueError(
            f"`batch_fn` must return (x, y) of shapes and types {expected}, like rows "
            f"of `train`. Received: {found}"
        )
    return tuple(drawn)


def labels(loss, split, data, outputs):
    """Raises an error if labels of a sparse loss are not among the model's classes."""
    if data is None or not _is_sparse(loss):
        return
    ignored, y = getattr(loss, "ignore_class", None), data[1]
    y = y if ignored is None else y[y != ignored]
    classes = outputs.shape[-1]
    if y.size and not (y.min() >= 0 and y.max() < classes):
        raise ValueError(
            f"Labels must lie in [0, {classes - 1}], the outputs of the model. "
            f"Received: `{split}` labels from {y.min()} to {y.max()}"
        )


def _array(a):
    a = np.asarray(a)
    return a.astype("float32") if a.dtype == "float64" else a


def _is_sparse(loss):
    sparse = keras.losses.sparse_categorical_crossentropy
    return loss is sparse or isinstance(
        loss, keras.losses.SparseCategoricalCrossentropy
    )
