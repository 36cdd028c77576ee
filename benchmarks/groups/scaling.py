"""One step of an optimizer alone, on random gradients."""

import math

import keras
import tensorflow as tf

from benchmarks import rows, subjects, timing


def measure(repeats, optimizer, num_params, steps):
    """Returns one row.

    Args:
        repeats: Number of repeats.
        optimizer: Name of the optimizer.
        num_params: Number of parameters: four square matrices and a vector.
        steps: Steps in a repeat.
    """
    side = math.isqrt(num_params // 5)
    shapes = [(side, side)] * 4 + [(num_params - 4 * side**2,)]
    variables = [keras.Variable(tf.random.normal(shape)) for shape in shapes]
    gradients = [tf.random.normal(shape) for shape in shapes]
    optimizer = subjects.optimizer(optimizer)
    optimizer.build(variables)
    apply = tf.function(lambda: optimizer.apply(gradients), autograph=False)
    apply()
    row = rows.timed([timing.seconds(apply, steps) for _ in range(repeats)])
    return [{**row, "ns_per_parameter": 1e6 * row["cpu_ms"] / num_params}]
