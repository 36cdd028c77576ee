"""Models that `fit` trains, and the time that it takes."""

import time

import keras

from benchmarks import backends, networks, subjects
from lrlearn import SharpnessAwareModel

_BATCH_SIZE = 128


def model(network, name, xla=False):
    """Returns a new, compiled model.

    Args:
        network: Name of the network.
        name: Name of an optimizer, or of a regularizer around one.
        xla: Whether TensorFlow compiles with XLA. Defaults to `False`.
    """
    model = networks.build(network)
    regularizer, optimizer = subjects.parts(name)
    arguments = {"jit_compile": backends.jit_compile(xla)}
    if regularizer != "none":
        model = SharpnessAwareModel.from_model(model)
        arguments["regularizer"] = subjects.regularizer(regularizer)
    model.compile(subjects.optimizer(optimizer), networks.loss(), **arguments)
    return model


def step_seconds(model, steps):
    """Returns the CPU seconds of a step of `fit`, the mean of `steps`."""
    _, begin, end = _fit(model, steps)
    return (end - begin) / steps


def start_seconds(model):
    """Returns the CPU seconds from the call of `fit` to the end of its first step."""
    call, _, end = _fit(model, 1)
    return end - call


def _fit(model, steps):
    """Returns the CPU time at the call, before the first and after the last step."""
    batch = networks.images(model.input_shape[1:], _BATCH_SIZE)
    data, clock = backends.repeat(batch, steps), _Clock()
    call = time.process_time()
    model.fit(data, shuffle=False, verbose=0, callbacks=[clock])
    return call, clock.begin, clock.end


class _Clock(keras.callbacks.Callback):
    """Reads the time around all the steps of a `fit`."""

    begin = end = None

    def on_train_batch_begin(self, batch, logs=None):
        """See `keras.callbacks.Callback`."""
        if self.begin is None:
            self.begin = time.process_time()

    def on_train_batch_end(self, batch, logs=None):
        """See `keras.callbacks.Callback`."""
        if batch + 1 == self.params["steps"]:
            backends.finish(self.model)
            self.end = time.process_time()
