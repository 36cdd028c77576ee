"""The networks of the benchmarks, and random data for them."""

import keras
import numpy as np
from keras import layers

_MNIST, _CIFAR = (28, 28, 1), (32, 32, 3)
_CLASSES = 10


def build(name):
    """Returns a new classifier of uint8 images; its outputs are logits.

    - `"mlp_20"`: the library's MLP of 784-20-10 units, on images like MNIST's.
    - `"mlp_128_128"`, `"mlp_512_512"`: MLPs of two such layers of ReLU units.
    - `"cnn"`: the library's CNN, on images like CIFAR-10's.
    - `"frozen"`: its convolutions as they are, and a head of 128-10 units that learns.
    - `"resnet_20"`: ResNet-20 for CIFAR-10.
    """
    return {
        "mlp_20": lambda: _mlp(20, activation="sigmoid"),
        "mlp_128_128": lambda: _mlp(128, 128),
        "mlp_512_512": lambda: _mlp(512, 512),
        "cnn": lambda: _cnn(),
        "frozen": lambda: _cnn(128, trainable=False),
        "resnet_20": lambda: resnet(_CIFAR, (16, 32, 64)),
    }[name]()


def images(image_shape, n):
    """Returns `n` random images and labels: for timing they serve as real ones do."""
    rng = np.random.default_rng(0)
    x = rng.integers(256, size=(n, *image_shape), dtype="uint8")
    return x, rng.integers(_CLASSES, size=n, dtype="int32")


def loss():
    """Returns the loss of the classifiers."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


# `lrlearn.tasks`, which has the first MLP and the CNN, runs on TensorFlow alone.


def _mlp(*units, activation="relu"):
    inputs = keras.Input(_MNIST, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    return keras.Model(inputs, _head(x, units, activation))


def _cnn(*units, trainable=True):
    inputs = keras.Input(_CIFAR, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    arguments = {"padding": "same", "activation": "relu", "trainable": trainable}
    for filters in (16, 32):
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, **arguments)(x))
    return keras.Model(inputs, _head(x, units))


def _head(x, units, activation="relu"):
    x = layers.Flatten()(x)
    for n in units:
        x = layers.Dense(n, activation=activation)(x)
    return layers.Dense(_CLASSES)(x)


def resnet(image_shape, filters, blocks=3, largest=255):
    """Returns a new ResNet (He et al., 2016, section 4.2) with logits of ten classes.

    Args:
        image_shape: Tuple `(height, width, channels)`, of uint8 images.
        filters: Filters of the three stages, in the paper `(16, 32, 64)`.
        blocks: Residual blocks in a stage; it has `6 * blocks + 2` layers. Defaults to
            `3`.
        largest: Largest pixel value: inputs are divided by it. Defaults to `255`.
    """
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / largest)(inputs)
    x = layers.ReLU()(_conv(x, filters[0], 1))
    for stage, n in enumerate(filters):
        for block in range(blocks):
            x = _block(x, n, 2 if stage and not block else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(_CLASSES)(x))


def _block(x, filters, strides):
    y = layers.ReLU()(_conv(x, filters, strides))
    y = _conv(y, filters, 1)
    return layers.ReLU()(layers.Add()([_shortcut(x, filters, strides), y]))


def _shortcut(x, filters, strides):
    """The paper's option A, which has no parameters."""
    if strides == 1:
        return x
    more = filters - x.shape[-1]
    return keras.ops.pad(
        x[:, ::strides, ::strides], [[0, 0], [0, 0], [0, 0], [0, more]]
    )


def _conv(x, filters, strides):
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)
