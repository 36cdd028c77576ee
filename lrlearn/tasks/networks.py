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
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / largest)(inputs)
    for n in filters:
        x = layers.Conv2D(n, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(num_classes)(layers.Flatten()(x)))


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


def strided(image_shape, filters, num_classes=10, largest=255):
    """Returns a new classifier with strided convolutions; its outputs are logits.

    Each is of 2x2 pixels with stride 2, and ReLU; a dense layer follows. They are
    written as dense layers of patches, so that several networks are computed at once.

    Args:
        image_shape: Tuple `(height, width, channels)`.
        filters: Numbers of filters; each halves height and width.
        num_classes: Number of outputs. Defaults to `10`.
        largest: Largest pixel value: inputs are divided by it. Defaults to `255`.

    Returns:
        A `keras.Model` of uint8 images.

    Example:
        >>> from lrlearn.tasks import networks
        >>> networks.strided((8, 8, 1), (8, 16)).count_params()
        1218
    """
    height, width, channels = image_shape
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / largest)(inputs)
    for n in filters:
        height, width = height // 2, width // 2
        x = layers.Reshape((height, 2, width, 2, channels))(x)
        x = layers.Permute((1, 3, 2, 4, 5))(x)
        x = layers.Reshape((height, width, 4 * channels))(x)
        x = layers.Dense(n, activation="relu")(x)
        channels = n
    return keras.Model(inputs, layers.Dense(num_classes)(layers.Flatten()(x)))
