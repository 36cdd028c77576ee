"""How fast this machine is at what the benchmarks spend their time on."""

import statistics

import tensorflow as tf

from benchmarks import timing

_SIDE = 1024
_SHAPE = (20, 15910)  # a gate of 20 units for each parameter of an MLP


def measure(repeats):
    """Returns one row: GFLOP/s of a matrix product, ns an element of tanh."""
    square, gate = tf.random.normal([_SIDE, _SIDE]), tf.random.normal(_SHAPE)
    sgemm = _median(lambda: tf.matmul(square, square), repeats, calls=10)
    tanh = _median(lambda: tf.tanh(gate), repeats, calls=100)
    return [
        {
            "sgemm_gflops": 2e-9 * _SIDE**3 / sgemm,
            "tanh_ns": 1e9 * tanh / (_SHAPE[0] * _SHAPE[1]),
        }
    ]


def _median(function, repeats, calls):
    timing.seconds(function, calls)
    return statistics.median(timing.seconds(function, calls) for _ in range(repeats))
