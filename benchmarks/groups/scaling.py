"""One step of each optimizer alone, on random gradients."""

import functools
import math

import keras
import numpy as np

from benchmarks import rows, subjects, timing


def measure(repeats, num_params, steps, optimizers):
    """Returns one row an optimizer.

    Args:
        repeats: Number of rounds; in each, every optimizer takes `steps` steps.
        num_params: Number of parameters: four square matrices and a vector.
        steps: Steps in a repeat.
        optimizers: Names of optimizers.
    """

    def prepare(name):
        step = step_of(subjects.optimizer(name), shapes(num_params))
        step()
        return functools.partial(_seconds, step, steps)

    return [
        {**row, "ns_per_parameter": 1e6 * row["cpu_ms"] / num_params}
        if "cpu_ms" in row
        else row
        for row in rows.compared(optimizers, prepare, repeats)
    ]


def shapes(num_params):
    """Returns the shapes of four square matrices and a vector."""
    side = math.isqrt(num_params // 5)
    return [(side, side)] * 4 + [(num_params - 4 * side**2,)]


def _seconds(step, steps):
    step()  # the first after another optimizer's asks the system for memory
    return timing.seconds(step, steps)


def step_of(optimizer, shapes):
    """Returns a function that takes a step, in the way of the backend's `fit`.

    Args:
        optimizer: A new Keras optimizer.
        shapes: Shapes of the parameters.
    """
    rng = np.random.default_rng(0)
    values, gradients = (
        [rng.normal(size=shape).astype("float32") for shape in shapes] for _ in "wg"
    )
    variables = [keras.Variable(value) for value in values]
    gradients = [keras.ops.convert_to_tensor(gradient) for gradient in gradients]
    optimizer.build(variables)
    step = {"tensorflow": _in_graph, "jax": _compiled, "torch": _eager}
    return step[keras.backend.backend()](optimizer, variables, gradients)


def _in_graph(optimizer, variables, gradients):
    import tensorflow as tf

    return tf.function(lambda: optimizer.apply(gradients), autograph=False)


def _compiled(optimizer, variables, gradients):
    import jax

    apply = jax.jit(
        lambda state, w, g: optimizer.stateless_apply(state, g, w),
        donate_argnums=(0, 1),
    )
    w, state = ([v.value for v in each] for each in (variables, optimizer.variables))

    def step():
        nonlocal w, state
        w, state = jax.block_until_ready(apply(state, w, gradients))

    return step


def _eager(optimizer, variables, gradients):
    import torch

    return torch.no_grad()(lambda: optimizer.apply(gradients))
