"""One step of `model.fit`, by each optimizer in turn."""

import functools
import math

from benchmarks import rows, subjects, training


def measure(repeats, network, steps, optimizers, jit_compile=False):
    """Returns one row an optimizer.

    Args:
        repeats: Number of rounds; in each, every optimizer trains for `steps` steps.
        network: Name of the network.
        steps: Number of steps.
        optimizers: Names of optimizers, and of regularizers around them.
        jit_compile: Whether TensorFlow compiles with XLA. Defaults to `False`.
    """
    models = {}

    def prepare(name):
        model = training.model(network, name, jit_compile)
        training.step_seconds(model, steps=2)
        models[name] = model
        return functools.partial(training.step_seconds, model, steps)

    measured = rows.compared(optimizers, prepare, repeats)
    return [{**row, **_state(models.get(row["optimizer"]), row)} for row in measured]


def _state(model, row):
    """Returns the floats of the optimizer that were made for the model's variables."""
    if model is None:
        return {}
    _, optimizer = subjects.parts(row["optimizer"])
    before = len(subjects.optimizer(optimizer).variables)
    state = _size(model.optimizer.variables[before:])
    return {"state_per_parameter": state / _size(model.trainable_variables)}


def _size(variables):
    return sum(math.prod(variable.shape) for variable in variables)
