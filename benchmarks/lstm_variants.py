r"""What was tried to make the LSTM rule's meta-gradient cheaper, measured again.

    python -m benchmarks.lstm_variants

Two LSTM layers of 20 units take 20 steps on 15,910 coordinates, and their weights'
gradient is taken: the part of a meta-step that is the rule's own. Then the matrix
products that it consists of, alone. Prints CPU milliseconds and GFLOP/s, on one core.
"""

import functools
import statistics

import pandas as pd
import tensorflow as tf
from absl import flags

from benchmarks import machine, timing
from binaries import cli

_REPEATS = flags.DEFINE_integer("repeats", 5, "Repeats.", lower_bound=1)
_CORE = flags.DEFINE_integer("core", 0, "Core to run on.", lower_bound=0)

_N, _UNITS, _STEPS = 15_910, 20, 20


def main():
    """Prints two tables."""
    machine.pin(_CORE.value)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print(pd.DataFrame(_variants()).round(0).to_string(index=False), flush=True)
    print(pd.DataFrame(_products()).round(0).to_string(index=False))


# Whole gradients


def _variants():
    for n in (1_024, 1_552, 3_200, _N):
        for jit_compile in (False, True):
            for name, cell in (("autodiff", _cell), ("by hand", _cell_by_hand)):
                gradient = functools.partial(_gradient, cell)
                milliseconds = _time(gradient, _arguments(n), jit_compile) * _N / n
                yield {
                    "gradient": name,
                    "XLA": jit_compile,
                    "coordinates at a time": n,
                    "ms": milliseconds,
                }
    for n in (2_000, _N):
        milliseconds = _time(_block_lstm, _block_arguments(n)) * _N / n
        yield {
            "gradient": "tf.raw_ops.BlockLSTMV2",
            "XLA": False,
            "coordinates at a time": n,
            "ms": milliseconds,
        }


def _cell(weights, x, h, c):
    z = tf.tanh(weights @ tf.concat([x, h, tf.ones_like(h[:1])], 0))
    i, f, g, o = tf.split(z, 4)
    c = 0.5 * (c + g + f * c + i * g)
    tanh_c = tf.tanh(c)
    return 0.5 * (tanh_c + o * tanh_c), c


@tf.custom_gradient
def _cell_by_hand(weights, x, h, c):
    inputs = tf.concat([x, h, tf.ones_like(h[:1])], 0)
    z = tf.tanh(weights @ inputs)
    i, f, g, o = tf.split(z, 4)
    new_c = 0.5 * (c + g + f * c + i * g)
    tanh_c = tf.tanh(new_c)

    def gradient(dh, dc):
        dc = 0.5 * (dc + tf.raw_ops.TanhGrad(y=tanh_c, dy=0.5 * dh * (1.0 + o)))
        dz = tf.concat([dc * g, dc * c, dc * (1.0 + i), 0.5 * dh * tanh_c], 0)
        dz = tf.raw_ops.TanhGrad(y=z, dy=dz)
        split = x.shape[0]
        # Apart, so that a graph leaves out the gradient in constant features.
        dx = tf.matmul(weights[:, :split], dz, transpose_a=True)
        dh = tf.matmul(weights[:, split:-1], dz, transpose_a=True)
        dweights = tf.matmul(dz, inputs, transpose_b=True)
        return dweights, dx, dh, dc * (1.0 + f)

    return (0.5 * (1.0 + o) * tanh_c, new_c), gradient


def _gradient(cell, weights, x, state):
    def body(s, h0, c0, h1, c1, total):
        h0, c0 = cell(weights[0], x[s], h0, c0)
        h1, c1 = cell(weights[1], h0, h1, c1)
        return s + 1, h0, c0, h1, c1, total + tf.reduce_sum(weights[2] @ h1)

    with tf.GradientTape() as tape:
        tape.watch(weights)
        start = (0, *state, 0.0)
        total = tf.while_loop(
            lambda s, *_: s < _STEPS, body, start, maximum_iterations=_STEPS
        )[-1]
    return tape.gradient(total, weights)


def _arguments(n):
    weights = [_normal(80, 23), _normal(80, 41), _normal(1, _UNITS)]
    return weights, _normal(_STEPS, 2, n), [_normal(_UNITS, n) for _ in range(4)]


def _block_lstm(weights, x, state, dh):
    """TensorFlow's LSTM kernels in C++, which want `[steps, n, units]`."""
    zeros, common = tf.zeros([_UNITS]), {"seq_len_max": tf.constant(_STEPS, tf.int64)}
    common |= {"wci": zeros, "wcf": zeros, "wco": zeros, "use_peephole": False}
    layers, inputs = [], x
    for layer, (w, b) in enumerate(zip(weights[:2], weights[2:], strict=True)):
        h, c = state[2 * layer : 2 * layer + 2]
        given = {"x": inputs, "cs_prev": c, "h_prev": h, "w": w, "b": b, **common}
        outputs = tf.raw_ops.BlockLSTMV2(**given, cell_clip=0.0)
        layers.append((given, outputs))
        inputs = outputs.h
    gradients = []
    for given, outputs in reversed(layers):
        back = tf.raw_ops.BlockLSTMGradV2(
            **given, **outputs._asdict(), cs_grad=tf.zeros_like(dh), h_grad=dh
        )
        dh = back.x_grad
        gradients += [back.w_grad, back.b_grad]
    return gradients


def _block_arguments(n):
    weights = [_normal(22, 80), _normal(40, 80), _normal(80), _normal(80)]
    state = [_normal(n, _UNITS) for _ in range(4)]
    return weights, _normal(_STEPS, n, 2), state, _normal(_STEPS, n, _UNITS)


# Matrix products


def _products():
    for n in (1_024, 1_040, _N, 16_384):
        w, dz, inputs = _normal(80, 41), _normal(80, n), _normal(41, n)
        products = {
            "z = W x": lambda w, dz, x: w @ x,
            "dx = W' dz": lambda w, dz, x: tf.matmul(w, dz, transpose_a=True),
            "dW = dz x'": lambda w, dz, x: tf.matmul(dz, x, transpose_b=True),
        }
        for dtype in (tf.float32, tf.bfloat16):
            operands = [tf.cast(t, dtype) for t in (w, dz, inputs)]
            rates = {
                name: 2e-6 * 80 * 41 * n / _time(_repeat(f), operands) * _TIMES
                for name, f in products.items()
            }
            yield {"GFLOP/s of": dtype.name, "coordinates": n, **rates}


_TIMES = 50


def _repeat(function):
    def repeated(w, dz, x):
        def body(s, total):
            # The step enters, so that no product is taken out of the loop.
            y = function(w + tf.cast(s, w.dtype), dz, x)
            return s + 1, total + tf.cast(y[0, 0], tf.float32)

        return tf.while_loop(lambda s, _: s < _TIMES, body, (0, 0.0))

    return repeated


def _time(function, arguments, jit_compile=False):
    """Returns CPU milliseconds, the median of the repeats."""
    graph = tf.function(
        function, jit_compile=jit_compile, autograph=False, reduce_retracing=True
    )
    graph(*arguments)
    seconds = [timing.seconds(lambda: graph(*arguments)) for _ in range(_REPEATS.value)]
    return 1e3 * statistics.median(seconds)


def _normal(*shape):
    return tf.random.normal(shape)


if __name__ == "__main__":
    cli.run(main)
