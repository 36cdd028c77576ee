r"""An update rule alone, as TensorFlow runs its forms: CPU nanoseconds a parameter.

    python -m benchmarks.update_forms

A rule may have another form for XLA (`UpdateRule.for_xla`). The plain form is measured
in a graph and compiled, that for XLA compiled, on the parameters of dense networks. The
first call, too: it traces and compiles.
"""

import math

import keras
import pandas as pd
import tensorflow as tf
from absl import flags

from benchmarks import backends, machine, subjects, timing
from binaries import cli
from lrlearn.rules import Run

_REPEATS = flags.DEFINE_integer("repeats", 5, "Repeats.", lower_bound=1)
_CORE = flags.DEFINE_integer("core", 0, "Core to run on.", lower_bound=0)

_RULES = ("scheduled_mlp", "per_parameter_mlp", "scheduled_lstm_10", "lstm_2x10")
_UNITS = (20,), (128, 128), (512, 512)
_UPDATES = 2_000_000  # of a parameter, in a repeat


def main():
    """Prints a table."""
    machine.pin(_CORE.value)
    backends.use_one_thread()
    rows = pd.DataFrame(_rows())
    print(rows.to_string(index=False, float_format="{:.1f}".format))


def _rows():
    for name in _RULES:
        rule = subjects.rule(name)
        for units in _UNITS:
            shapes = list(_shapes(784, *units, 10))
            n = sum(map(math.prod, shapes))
            for form, jit_compile in (("plain", False), ("plain", True), ("XLA", True)):
                chosen = rule if form == "plain" else rule.for_xla()
                if form == "XLA" and chosen is rule:
                    continue
                first, seconds = _measure(chosen, shapes, n, jit_compile)
                yield {
                    **{"rule": name, "units": units, "parameters": n},
                    **{"form for": form, "compiled": jit_compile},
                    **{"first call, s": first, "ns a parameter": 1e9 * seconds / n},
                }


def _shapes(*units):
    for inputs, outputs in zip(units, units[1:], strict=False):
        yield from ((inputs, outputs), (outputs,))


def _measure(rule, shapes, n, jit_compile):
    """Returns the CPU seconds of the first call, and the least of a step."""
    steps = max(2, _UPDATES // n)
    run = _steps(rule, shapes, n, jit_compile, steps)
    first = timing.seconds(run)
    return first, min(timing.seconds(run) for _ in range(_REPEATS.value)) / steps


def _steps(rule, shapes, n, jit_compile, steps):
    """Returns a function that takes steps in a graph, whose state is in variables."""
    theta = {name: tf.constant(value) for name, value in rule.init_theta().items()}
    g, w = tf.Variable(tf.random.normal([n])), tf.Variable(tf.random.normal([n]))
    state = keras.tree.map_structure(tf.Variable, rule.initial_state(shapes))

    @tf.function(jit_compile=jit_compile, autograph=False)
    def update(g, w, state, step):
        return rule.update(theta, g, w, state, step, shapes, run=Run(100.0, 5.0))

    def step(i):
        values = keras.tree.map_structure(tf.convert_to_tensor, (g, w, state))
        d, new = update(*values, i + 1)
        keras.tree.map_structure(lambda v, x: v.assign(x), state, new)
        w.assign_add(0.01 * d)
        return (i + 1,)

    @tf.function(autograph=False)
    def all_steps():
        return tf.while_loop(lambda i: i < steps, step, (0,), parallel_iterations=1)

    return all_steps


if __name__ == "__main__":
    cli.run(main)
