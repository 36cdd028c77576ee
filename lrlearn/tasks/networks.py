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
    hidden = []
    for n in filters:
        hidden.append(layers.Conv2D(n, 3, padding="same", activation="relu"))
        hidden.append(layers.MaxPooling2D())
    return _classifier(image_shape, [*hidden, layers.Flatten()], num_classes, largest)


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
    hidden = [layers.Dense(size, activation=activation) for size in units]
    return _classifier(image_shape, [layers.Flatten(), *hidden], num_classes, largest)


def strided(image_shape, filters):
    """Returns a new classifier with 2x2 convolutions of stride 2, each with ReLU.

    They are written as dense layers of patches: several such networks are then computed
    at once, as other convolutions are not.

    Args:
        image_shape: Tuple `(height, width, channels)`.
        filters: Numbers of filters; each layer halves height and width, which must be
            even.

    Returns:
        A `keras.Model` of uint8 images with 10 outputs, logits.

    Example:
        >>> from lrlearn.tasks import networks
        >>> networks.strided((8, 8, 1), (8, 16)).count_params()
        1218
    """
    height, width, channels = image_shape
    hidden = []
    for n in filters:
        height, width = height // 2, width // 2
        hidden += [
            layers.Reshape((height, 2, width, 2, channels)),
            layers.Permute((1, 3, 2, 4, 5)),
            layers.Reshape((height, width, 4 * channels)),
            layers.Dense(n, activation="relu"),
        ]
        channels = n
    return _classifier(image_shape, [*hidden, layers.Flatten()])


@keras.saving.register_keras_serializable(package="lrlearn")
class Positions(layers.Layer):
    """Adds a trained vector to each position of a sequence `[batch, length, units]`.

    Example:
        >>> import keras
        >>> from lrlearn.tasks import networks
        >>> model = keras.Sequential([keras.Input((5, 8)), networks.Positions()])
        >>> model.count_params()
        40
    """

    def build(self, input_shape):
        """Makes the vectors, `[length, units]`."""
        self.vectors = self.add_weight(
            shape=input_shape[1:], initializer="uniform", name="vectors"
        )

    def call(self, inputs):
        """Returns the inputs plus the vectors."""
        return inputs + self.vectors


def _classifier(image_shape, hidden, num_classes=10, largest=255):
    inputs = keras.Input(image_shape, dtype="uint8")
    x = layers.Rescaling(1 / largest)(inputs)
    for layer in hidden:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))
