"""One step of `model.fit`, by each optimizer in turn."""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from benchmarks import networks, rows, subjects
from lrlearn import SharpnessAwareModel

_BATCH_SIZE = 128
_BASELINE = "adam"


def measure(repeats, network, steps, jit_compile=False, optimizers=None):
    """Returns one row an optimizer; a regularizer's is that of Adam inside it.

    Args:
        repeats: Number of rounds; in each, every optimizer trains for `steps` steps.
        network: Name of the network.
        steps: Number of steps.
        jit_compile: Whether to compile with XLA. Defaults to `False`.
        optimizers: Names of optimizers and regularizers. Defaults to all.
    """
    models, failures = {}, []
    for name in optimizers or [*subjects.optimizers(), *subjects.regularizers()]:
        try:
            models[name] = _warm_model(network, name, jit_compile)
        except Exception as error:  # the other optimizers go on
            failures.append({"optimizer": name, **rows.failed(error)})
    # Round by round, so that a drift of the machine leaves the ratios alone.
    rounds = [
        {name: _fit(model, steps) for name, model in models.items()}
        for _ in range(repeats)
    ]
    return [_row(name, model, rounds) for name, model in models.items()] + failures


def _warm_model(network, name, jit_compile):
    arguments = {"jit_compile": jit_compile}
    model = networks.build(network)
    if name in subjects.regularizers():
        model = SharpnessAwareModel.from_model(model)
        arguments["regularizer"] = subjects.regularizer(name)
    model.compile(_optimizer(name), networks.loss(), **arguments)
    _fit(model, steps=2)
    return model


def _optimizer(name):
    return subjects.optimizer("adam" if name in subjects.regularizers() else name)


def _fit(model, steps):
    """Returns the CPU seconds of a step."""
    batch = networks.images(model.input_shape[1:], _BATCH_SIZE)
    data = tf.data.Dataset.from_tensors(batch).repeat()
    timer = _Timer()
    model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[timer])
    return timer.seconds / steps


def _row(name, model, rounds):
    row = {"optimizer": name, **rows.timed([times[name] for times in rounds])}
    if _BASELINE in rounds[0]:
        ratios = [times[name] / times[_BASELINE] for times in rounds]
        row["ratio"] = statistics.median(ratios)
    return {**row, "state_per_parameter": _state_per_parameter(name, model)}


def _state_per_parameter(name, model):
    """Returns the floats of the optimizer that were made for the model's variables."""
    before = len(_optimizer(name).variables)
    state = model.optimizer.variables[before:]
    return _size(state) / _size(model.trainable_variables)


def _size(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


class _Timer(keras.callbacks.Callback):
    """Measures all the steps of a `fit`, without what comes before and after."""

    def __init__(self):
        super().__init__()
        self._start = None
        self.seconds = None

    def on_train_batch_begin(self, batch, logs=None):
        """See `keras.callbacks.Callback`."""
        if self._start is None:
            self._start = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        """See `keras.callbacks.Callback`."""
        self.seconds = time.process_time() - self._start
