"""When the late phase of a training run begins."""

import math

import keras


class LatePhase(keras.callbacks.Callback):
    """Tells, when `fit` starts, at which of the optimizer's iterations it is late.

    Args:
        start_fraction: Fraction of all steps that come before.
        start_at: Function that is told the iteration, an int.
    """

    def __init__(self, start_fraction, start_at):
        super().__init__()
        self._start_fraction, self._start_at = start_fraction, start_at
        self._told = False

    def on_epoch_begin(self, epoch, logs=None):
        """Counts from the first epoch, also where training goes on at a later one."""
        if self._told:
            return
        steps = self.params["steps"]
        if steps is None:
            raise ValueError(
                "`steps_per_epoch` must be given with `start_fraction` where the data "
                "does not tell its length. Received: steps_per_epoch=None"
            )
        optimizer = self.model.optimizer
        done = int(keras.ops.convert_to_numpy(optimizer.iterations))
        inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a loss scale
        each = inner.gradient_accumulation_steps or 1
        before = self._start_fraction * self.params["epochs"] * steps
        self._start_at(done + math.ceil((before - epoch * steps) / each))
        self._told = True
