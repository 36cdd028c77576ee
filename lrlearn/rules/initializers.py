"""Initial weights of update rules."""

import numpy as np


def glorot(rng, outputs, inputs):
    """Returns a kernel `[outputs, inputs]`, Glorot-uniform, drawn from `rng`."""
    limit = np.sqrt(6 / (inputs + outputs))
    return rng.uniform(-limit, limit, (outputs, inputs))


def network(rng, shapes):
    """Returns Glorot kernels, zero biases, and the kernel of a small output layer.

    Args:
        rng: A `numpy.random.Generator`.
        shapes: Dict of names, such as `"head/kernel"` and `"head/bias"`, to shapes.
    """
    theta = {
        name: np.zeros(shape) if name.endswith("/bias") else glorot(rng, *shape)
        for name, shape in shapes.items()
    }
    theta["head/kernel"] *= 0.1
    return theta
