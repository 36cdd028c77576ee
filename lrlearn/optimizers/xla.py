"""Updates that XLA compiles."""

import functools
import math
import warnings

import keras

# Of fewer coordinates compiling takes longer than it saves in a usual run.
_FEWEST = 10_000


def pays(rule, shapes):
    """Returns whether it was measured to pay that XLA compiles a rule's update.

    Args:
        rule: An `UpdateRule`.
        shapes: Shapes of the tensors that it updates.
    """
    backend = keras.backend.backend()
    if backend == "torch" or rule.for_xla() is rule:
        return False
    if sum(map(math.prod, shapes)) < _FEWEST:
        return False
    # A step of a convolutional network takes so long that a rule hardly counts. JAX
    # compiles the whole step in any case.
    return backend == "jax" or all(len(shape) <= 2 for shape in shapes)


@functools.cache
def is_available():
    """Returns whether there is XLA; warns once if TensorFlow lacks it here."""
    if keras.backend.backend() != "tensorflow":
        return keras.backend.backend() == "jax"
    import tensorflow as tf

    try:
        with tf.init_scope():
            tf.function(lambda: tf.zeros(()), jit_compile=True)()
    except (tf.errors.OpError, ValueError) as error:
        message = str(error).splitlines()[0]
        warnings.warn(f"Updates run without XLA: {message}", stacklevel=2)
        return False
    return True


def compiled(update):
    """Returns a pure function of tensors, compiled by XLA."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(update)
    import tensorflow as tf

    return tf.function(update, jit_compile=True, autograph=False)
