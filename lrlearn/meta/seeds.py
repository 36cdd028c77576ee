"""Seeds of everything random in a graph."""

import tensorflow as tf


def fold(seed, *numbers):
    """Returns a seed that follows from another and some integers.

    Args:
        seed: Integer tensor `[2]`.
        *numbers: Integers or integer tensors.
    """
    for number in numbers:
        # Named, so that it is the same on every device and under XLA.
        seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    return seed
