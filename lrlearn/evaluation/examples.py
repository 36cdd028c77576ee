"""Examples in all forms that `keras.Model.evaluate` takes."""

import warnings

import keras
import tensorflow as tf

_BATCH_SIZE = 1024


def collect(x, y=None, sample_weight=None):
    """Returns examples as Keras hands them to a model, all in one batch.

    Args:
        x: Inputs: arrays, tensors, data frames, sparse matrices or structures of them;
            or a finite `tf.data.Dataset`, `keras.utils.PyDataset` or generator of
            batches of inputs, targets and sample weights.
        y: Targets, unless `x` brings them. Defaults to `None`.
        sample_weight: Weights of the examples, likewise. Defaults to `None`.

    Returns:
        A tuple `(x, y, sample_weight)` of tensors or structures of them, or `None`.

    Raises:
        ValueError: If `keras.Model.evaluate` would not take them, or there are none.
    """
    if (
        isinstance(x, tf.data.Dataset)
        and x.cardinality() == tf.data.INFINITE_CARDINALITY
    ):
        raise ValueError("`x` must be finite. Received: an infinite tf.data.Dataset")
    batches = []
    settings = {"batch_size": _BATCH_SIZE, "verbose": 0}
    try:
        with warnings.catch_warnings():
            # A generator has no other way of ending.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            _Collector(batches.append).evaluate(
                x, y, sample_weight=sample_weight, **settings
            )
    except Exception as error:
        raise ValueError(
            "`x`, `y` and `sample_weight` must be what `keras.Model.evaluate` takes. "
            f"Received: {_kind(x)}, {_kind(y)}, {_kind(sample_weight)}; Keras says: "
            f"{one_line(error)}"
        ) from None
    if not batches:
        raise ValueError("`x` must hold at least one example. Received: none")
    return keras.tree.map_structure(_concatenate, *batches)


def one_line(error, length=200):
    """Returns an error's message on one line, shortened."""
    text = " ".join(str(error).split())
    return text if len(text) <= length else f"{text[:length]}..."


class _Collector(keras.Model):
    """Takes evaluation steps that keep their batch."""

    def __init__(self, keep):
        super().__init__()
        self.built, self._keep = True, keep
        self.compile(optimizer=None, run_eagerly=True)

    def test_step(self, data):
        self._keep(keras.utils.unpack_x_y_sample_weight(data))
        return {"batches": tf.ones(())}  # Keras needs some result


def _concatenate(*parts):
    if parts[0] is None or len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tf.SparseTensor):
        return tf.sparse.concat(0, parts)
    return tf.concat(parts, axis=0)


def _kind(value):
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return name if shape is None else f"{name} of shape {tuple(shape)}"
