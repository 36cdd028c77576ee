"""Initial weights of update rules."""

import numpy as np


def glorot(rng, outputs, inputs):
    """Returns a kernel `[outputs, inputs]`, Glorot-uniform, drawn from `rng`."""
    limit = np.sqrt(6 / (inputs + outputs))
    return rng.uniform(-limit, limit, (outputs, inputs))
