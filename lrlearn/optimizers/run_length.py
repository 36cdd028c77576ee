"""A callback that tells the optimizer how long the run is."""

import keras

from lrlearn.optimizers.learned_optimizer import LearnedOptimizer


class RunLength(keras.callbacks.Callback):
    """Tells the model's `LearnedOptimizer` how long `fit` is.

    It sets `total_steps` and `epochs`, what is done before this `fit` included. Data of
    unknown length, such as a generator, are known after their first epoch. An optimizer
    whose rule has no such inputs is left as it is.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> import lrlearn
        >>> model = keras.Sequential([keras.layers.Dense(1)])
        >>> rule = lrlearn.rules.ScheduledMLP()
        >>> optimizer = lrlearn.LearnedOptimizer(rule, rule.init_theta())
        >>> model.compile(optimizer, "mse")
        >>> x, y = np.ones((64, 3)), np.ones((64, 1))
        >>> history = model.fit(
        ...     x, y, epochs=5, callbacks=[lrlearn.RunLength()], verbose=0)
        >>> optimizer.total_steps, optimizer.epochs
        (10.0, 5.0)
    """

    def on_train_begin(self, logs=None):
        """Starts to count anew."""
        self._before = []

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the length, if it is known."""
        optimizers = list(_told(self.model.optimizer))
        batches = [int(o._iterations.numpy()) for o in optimizers]
        for i, optimizer in enumerate(optimizers):
            steps = self.params["steps"]
            if steps is None and self._before:
                steps = batches[i] - self._before[i]  # of the last epoch
            epochs = self.params["epochs"] - epoch
            set_run_length(optimizer, *_length(optimizer, batches[i], steps, epochs))
        self._before = batches


def set_run_length(optimizer, total_steps, epochs):
    """Sets what rules are told: in optimizers, which may hold others, that have any.

    Args:
        optimizer: A Keras optimizer.
        total_steps: Number of steps of the run, or `None`.
        epochs: Number of passes over the training examples, or `None`.
    """
    for each in _told(optimizer):
        for name, value in (("total_steps", total_steps), ("epochs", epochs)):
            if name in each.rule.run_inputs:
                setattr(each, name, value)


def _told(optimizer):
    """Yields those that an optimizer is or holds and whose rule is told the length."""
    # With mixed precision it is within a `LossScaleOptimizer`.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    for each in getattr(optimizer, "optimizers", [optimizer]):
        if isinstance(each, LearnedOptimizer) and each.rule.run_inputs:
            yield each


def _length(optimizer, batches, steps, epochs):
    """Returns `total_steps` and `epochs`: some batches so far, then epochs of steps.

    If `steps` is `None`, they are those that were set, unless that run is over.
    """
    if steps:
        total = batches + steps * epochs
        updates = total // (optimizer.gradient_accumulation_steps or 1)
        return updates, batches / steps + epochs
    over = (optimizer.total_steps or 0) <= optimizer.iterations
    return (None, None) if over else (optimizer.total_steps, optimizer.epochs)
