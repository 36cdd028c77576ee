"""Tasks unlike those of meta-training, of data that need no network."""

import functools

import keras
from keras import layers

from benchmarks.networks import resnet
from lrlearn.tasks import Task, datasets, networks

_NUM_CLASSES = 10
_UNITS = 32
_IMAGE, _LARGEST = (8, 8, 1), 16.0


def load(name):
    """Returns a task of `NAMES`.

    Example:
        >>> from paper.checks import unseen_tasks
        >>> unseen_tasks.load("deep_mlp").num_params
        7690
    """
    return _TASKS[name](name=name)


def _digits(model_fn, scale=1.0, label_noise=0.0, batch_size=64, name=None):
    """Returns digits with pixels from 0 to `scale`; `model_fn` has 10 outputs."""
    data = datasets.splits("digits")
    data = {
        split: ((x * (scale / _LARGEST)).astype("float32"), y)
        for split, (x, y) in data.items()
    }
    x, y = data.pop("train")
    data["train"] = x, datasets.corrupt(y, label_noise, _NUM_CLASSES, seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return Task(model_fn, loss, batch_size=batch_size, name=name, **data)


def _regression(target_scale, name):
    """Returns Friedman's first function with noise, standardized, times a factor."""
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(3000, noise=1.0, random_state=0)
    y = target_scale * (y - y.mean()) / y.std()
    data = x.astype("float32"), y.astype("float32")[:, None]
    parts = {"train": slice(2000), "validation": slice(2000, None)}
    parts = {split: tuple(a[rows] for a in data) for split, rows in parts.items()}
    model_fn = functools.partial(_mlp, depth=2, input_shape=(10,), outputs=1)
    return Task(model_fn, "mse", batch_size=64, name=name, **parts)


def _mlp(depth, normalization=None, input_shape=_IMAGE, outputs=_NUM_CLASSES):
    hidden = [layers.Flatten()]
    for _ in range(depth):
        hidden.append(layers.Dense(_UNITS))
        hidden += [normalization()] if normalization else []
        hidden.append(layers.ReLU())
    return keras.Sequential([keras.Input(input_shape), *hidden, layers.Dense(outputs)])


def _gru():
    """Reads the image row by row."""
    return keras.Sequential(
        [
            keras.Input(_IMAGE),
            layers.Reshape((8, 8)),
            layers.GRU(_UNITS, unroll=True),
            layers.Dense(_NUM_CLASSES),
        ]
    )


def _transformer(blocks=2, heads=2):
    """Takes the image's rows as tokens."""
    inputs = keras.Input(_IMAGE)
    x = layers.Dense(_UNITS)(layers.Reshape((8, 8))(inputs))
    x = networks.Positions()(x)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        x = x + layers.MultiHeadAttention(heads, _UNITS // heads)(y, y)
        y = layers.LayerNormalization()(x)
        x = x + layers.Dense(_UNITS)(layers.Dense(2 * _UNITS, "gelu")(y))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(_NUM_CLASSES)(x))


_TWO_LAYERS = functools.partial(_mlp, depth=2)
_of = functools.partial
_TASKS = {
    "deep_mlp": _of(_digits, _of(_mlp, depth=6)),
    "batch_norm": _of(_digits, _of(_mlp, 2, layers.BatchNormalization)),
    "layer_norm": _of(_digits, _of(_mlp, 2, layers.LayerNormalization)),
    "resnet20": _of(
        _digits, _of(resnet, _IMAGE, (4, 8, 16), largest=_LARGEST), scale=_LARGEST
    ),
    "gru": _of(_digits, _gru),
    "transformer": _of(_digits, _transformer),
    "targets_x100": _of(_regression, 100.0),
    "inputs_x0.01": _of(_digits, _TWO_LAYERS, scale=0.01),
    "inputs_x255": _of(_digits, _TWO_LAYERS, scale=255.0),
    "inputs_x255_cnn": _of(
        _digits,
        _of(networks.build, "cnn", _IMAGE, largest=_LARGEST / 255, filters=(8, 16)),
        scale=_LARGEST,
    ),
    "label_noise": _of(_digits, _TWO_LAYERS, label_noise=0.4),
    "batch_1": _of(_digits, _TWO_LAYERS, batch_size=1),
    "batch_8": _of(_digits, _TWO_LAYERS, batch_size=8),
    "batch_1024": _of(_digits, _TWO_LAYERS, batch_size=1024),
}
NAMES = tuple(_TASKS)
