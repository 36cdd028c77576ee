"""From the call of `model.fit` to the end of its first step, by each optimizer."""

import gc

from benchmarks import rows, training


def measure(repeats, network, optimizers):
    """Returns one row an optimizer.

    Every start has a new model, so its step is traced and compiled anew. What only the
    first start in a process pays, such as importing, is left out.

    Args:
        repeats: Number of rounds; in each, every optimizer starts once.
        network: Name of the network.
        optimizers: Names of optimizers, and of regularizers around them.
    """

    def start(name):
        gc.collect()  # what earlier models left, at no one's cost
        return training.start_seconds(training.model(network, name))

    def prepare(name):
        start(name)
        return lambda: start(name)

    return rows.compared(optimizers, prepare, repeats)
