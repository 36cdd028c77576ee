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
    if rule.for_xla() is rule or sum(map(math.prod, shapes)) < _FEWEST:
        return False
    if backend == "tensorflow":
        # A step of a convolutional network takes so long that a rule hardly counts.
        return all(len(shape) <= 2 for shape in shapes) and is_available()
    return backend == "jax"


def compiled(update):
    """Returns a pure function of tensors, compiled by XLA if the backend has it."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if is_available():
            return tf.function(update, jit_compile=True, autograph=False)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(update)
    return update


@functools.cache
def is_available():
    """Returns whether TensorFlow has XLA on this machine; warns once if it has not."""
    import tensorflow as tf

    with tf.init_scope():
        try:
            tf.function(lambda: tf.zeros(()), jit_compile=True)()
        except (tf.errors.OpError, ValueError) as error:
            message = str(error).splitlines()[0]
            warnings.warn(f"Updates run without XLA: {message}", stacklevel=2)
            return False
    return True
