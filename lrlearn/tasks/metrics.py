"""Metrics of tasks: functions `(y_true, y_pred)`; larger is better."""

import keras
from keras import ops


def accuracy(y_true, y_pred):
    """Returns whether each label is right; NaN unless targets are classes.

    Args:
        y_true: Integer labels `[...]`.
        y_pred: An output for each class, `[..., classes]`, at least two.
    """
    is_label = keras.backend.is_int_dtype(y_true.dtype)
    shape = tuple(y_pred.shape)
    if not is_label or len(y_true.shape) != len(shape) - 1 or shape[-1] == 1:
        return ops.full((1,), float("nan"))
    return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)


def r2(y_true, y_pred):
    r"""Returns the share of the targets' variance that is explained.

    $$R^2 = 1 - \frac{\sum_b |y_b - f(x_b)|^2}{\sum_b |y_b - \bar y|^2}$$

    Args:
        y_true: Targets `[batch, ...]`.
        y_pred: Predictions of the same shape.

    Example:
        >>> import numpy as np
        >>> from lrlearn.tasks import metrics
        >>> float(metrics.r2(np.float32([[0], [2]]), np.float32([[1], [2]])))
        0.5
    """
    y_true = ops.convert_to_tensor(y_true)
    spread = ops.sum(ops.square(y_true - ops.mean(y_true, axis=0, keepdims=True)))
    return 1.0 - ops.sum(ops.square(y_true - y_pred)) / spread
