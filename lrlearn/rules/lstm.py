"""Layers of LSTM cells that run on every coordinate."""

import numpy as np
from keras import ops

from lrlearn.checks import check_count


def check_units(units):
    """Returns layers' sizes as a tuple; raises a `ValueError` if they are none."""
    if not isinstance(units, tuple | list) or not units:
        raise ValueError(
            f"`units` must be a tuple of integers, one a layer. Received: {units=}"
        )
    return tuple(check_count("units", size) for size in units)


def shapes(units, inputs):
    """Returns the weights' shapes, a dict of names to tuples.

    Args:
        units: Sizes of the layers.
        inputs: Number of inputs of the first.
    """
    found = {}
    for layer, size in enumerate(units):
        found[f"lstm{layer}/kernel"] = (4 * size, inputs)
        found[f"lstm{layer}/recurrent"] = (4 * size, size)
        found[f"lstm{layer}/bias"] = (4 * size, 1)
        inputs = size
    return found


def open_forget_gates(theta, units):
    """Returns `theta` with biases of the forget gates that are 1."""
    for layer, size in enumerate(units):
        theta[f"lstm{layer}/bias"][size : 2 * size] = 1.0
    return theta


def init_memory(units, n):
    """Returns hidden and cell state of each layer, a dict of `[units, n]`."""
    return {
        f"{name}{layer}": ops.zeros((size, n), "float32")
        for layer, size in enumerate(units)
        for name in ("h", "c")
    }


def step(theta, x, memory, offset=None):
    """Returns the last layer's output `[units, n]` and the memory after a step.

    Args:
        theta: A dict of the weights, and maybe of others.
        x: Inputs `[inputs, n]`.
        memory: What `init_memory` or the last call returned.
        offset: Added to the bias of the first layer, `[4 * units, c]` for c equal
            parts of the coordinates. Defaults to `None`.
    """
    new_memory = {}
    for layer in range(len(memory) // 2):
        kernel, recurrent, bias = (
            theta[f"lstm{layer}/{name}"] for name in ("kernel", "recurrent", "bias")
        )
        if layer == 0 and offset is not None:
            bias = bias + offset
        h, c = memory[f"h{layer}"], memory[f"c{layer}"]
        x, c = _cell(kernel, recurrent, bias, x, h, c)
        new_memory[f"h{layer}"], new_memory[f"c{layer}"] = x, c
    return x, new_memory


def _cell(kernel, recurrent, bias, x, h, c):
    r"""One LSTM step, `[units, n]`; gates in the order input, forget, cell, output.

    With $\sigma(z) = (1 + \tanh(z/2))/2$ one matrix product and one tanh serve all
    four gates, which on a CPU saves a third of the time.
    """
    units = h.shape[0]
    half = np.full((4 * units, 1), 0.5, "float32")
    half[2 * units : 3 * units] = 1.0
    half = ops.convert_to_tensor(half)  # torch cannot multiply by an array
    weights = half * ops.concatenate([kernel, recurrent, bias], axis=1)
    inputs = ops.concatenate([x, h, _parts(h, bias.shape[1])], axis=0)
    i, f, g, o = ops.split(ops.tanh(ops.matmul(weights, inputs)), 4, axis=0)
    # Multiplied out: a tape then keeps the gates alone, not one plus the gates.
    c = 0.5 * (c + g + f * c + i * g)
    tanh_c = ops.tanh(c)
    return 0.5 * (tanh_c + o * tanh_c), c


def _parts(h, count):
    """Returns which of equal parts coordinates are in, as ones in `[count, n]`."""
    if count == 1:
        return ops.ones_like(h[:1])
    size = h.shape[1] // count
    each = ops.broadcast_to(ops.eye(count)[:, :, None], (count, count, size))
    return ops.reshape(each, (count, count * size))
