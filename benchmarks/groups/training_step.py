"""One step of `model.fit`, and the start of it, by each optimizer in turn."""

import functools
import gc
import math

from benchmarks import rows, subjects, training


def measure(repeats, network, steps, optimizers, jit_compile=False):
    """Returns one row an optimizer.

    `start_ms` is the time from the call of `fit` to the end of its first step, measured
    once: building and compiling. What only the first `fit` of a network in a process
    pays, such as importing, is not in it.

    Args:
        repeats: Number of rounds; in each, every optimizer trains for `steps` steps.
        network: Name of the network.
        steps: Number of steps.
        optimizers: Names of optimizers, and of regularizers around them.
        jit_compile: Whether TensorFlow compiles with XLA. Defaults to `False`.
    """
    training.start_seconds(training.model(network, rows.BASELINE, jit_compile))
    facts = {}

    def prepare(name):
        model = training.model(network, name, jit_compile)
        gc.collect()  # what earlier models left, at no one's cost
        facts[name] = {
            "start_ms": 1e3 * training.start_seconds(model),
            "state_per_parameter": _state_per_parameter(model, name),
        }
        return functools.partial(training.step_seconds, model, steps)

    measured = rows.compared(optimizers, prepare, repeats)
    return [{**row, **facts.get(row["optimizer"], {})} for row in measured]


def _state_per_parameter(model, name):
    """Returns the floats of the optimizer that were made for the model's variables."""
    before = len(subjects.optimizer(subjects.parts(name)[1]).variables)
    state = model.optimizer.variables[before:]
    return _size(state) / _size(model.trainable_variables)


def _size(variables):
    return sum(math.prod(variable.shape) for variable in variables)
