"""The optimizees of the ready-made tasks: small Keras classifiers of images."""

import keras
from keras import layers

_ACTIVATIONS = {"mlp": "sigmoid", "mlp_relu": "relu", "mlp_tanh": "tanh"}
NAMES = (*_ACTIVATIONS, "cnn")


def build(name, image_shape, num_classes=10, largest=255, filters=(16, 32)):
    """Returns a new classifier; its outputs are logits.

    - `"mlp"`, `"mlp_relu"`, `"mlp_tanh"`: one hidden layer of 20 sigmoid, ReLU or tanh
      units.
    - `"cnn"`: two blocks of 3x3 convolution, ReLU and 2x2 max-pooling, then a dense
      layer.

    Args:
        name: One of `NAMES`.
        image_shape: Tuple `(height, width, channels)`.
        num_classes: Number of outputs. Defaults to `10`.
        largest: Largest pixel value: inputs are divided by it. Defaults to `255`.
        filters: Filters of the convolutions. Defaults to `(16, 32)`.

    Returns:
        A `keras.Model` of uint8 images.

    Example:
        >>> from lrlearn.tasks import networks
        >>> networks.build("mlp", (28, 28, 1)).count_params()
        15910
    """
    if name != "cnn":
        activation = _ACTIVATIONS[name]
        return dense(image_shape, (20,), activation, num_classes, largest)
    return convolutional(image_shape, filters, num_classes, largest)


def dense(image_shape, units, activation, num_classes=10, largest=255):
    """Returns a new classifier with dense layers; its outputs are logits.

    Args:
        image_shape: Tuple `(height, width, channels)`.
        units: Sizes of the hidden layers.
        activation: Name of their activation.
        num_classes: Number of outputs. Defaults to `10`.
        largest: Largest pixel value: inputs are divided by it. Defaults to `255`.

    Returns:
        A `keras.Model` of uint8 images.

    Example:
        >>> from lrlearn.tasks import networks
        >>> networks.dense((8, 8, 1), (32, 16), "tanh").count_params()
        2778
    """
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / largest)(inputs))
    for size in units:
        x = layers.Dense(size, activation=activation)(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def convolutional(image_shape, filters, num_classes=10, largest=255):
    """Returns a new classifier with convolutions; its outputs are logits.

    Each block is a 3x3 convolution, ReLU and 2x2 max-pooling; a dense layer follows.

    Args:
        image_shape: Tuple `(height, width, channels)`.
        filters: Numbers of filters of the blocks.
        num_classes: Number of outputs. Defaults to `10`.
        largest: Largest pixel value: inputs are divided by it. Defaults to `255`.

    Returns:
        A `keras.Model` of uint8 images.

    Example:
        >>> from lrlearn.tasks import networks
        >>> networks.convolutional((8, 8, 1), (8,)).count_params()
        1370
    """
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / largest)(inputs)
    for n in filters:
        x = layers.Conv2D(n, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(num_classes)(layers.Flatten()(x)))
