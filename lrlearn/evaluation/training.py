"""Trains tasks with any Keras optimizer, many times over on one graph."""

import keras
import pandas as pd
import tensorflow as tf

from lrlearn.regularizers.gradients import value_and_gradients

_MAX_EXAMPLES = 2000


class Training:
    """A task in training by a Keras optimizer, from one initialization after another.

    The graph is made once; each `run` starts from fresh parameters and a fresh
    optimizer. Batches are drawn with replacement. A run is determined by its seed, so
    that runs of different optimizers with the same seed are paired: they share
    initial parameters and batches.

    Args:
        task: A `Task`.
        optimizer: A Keras optimizer, not yet used.
        regularizer: A `Regularizer` whose field the optimizer is given in place of the
            plain gradient, or `None`. Defaults to `None`.

    Attributes:
        model: The Keras model, with the parameters that the last `run` reached.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> task = lrlearn.tasks.load("digits/mlp")
        >>> training = lrlearn.evaluation.Training(task, keras.optimizers.Adam(0.01))
        >>> trajectory = training.run(steps=100, seed=0)
        >>> bool(trajectory["train_loss"].iloc[-1] < trajectory["train_loss"].iloc[0])
        True
    """

    def __init__(self, task, optimizer, regularizer=None):
        self.task, self.optimizer, self.regularizer = task, optimizer, regularizer
        self.model = task.model_fn()
        if not self.model.built:
            self.model(task.train[0][:1])
        self._params, self._state = task.variables(self.model)
        optimizer.build(self._params)
        self._fresh = [v.numpy() for v in optimizer.variables]
        self._steps = tf.function(self._take_steps, autograph=False)
        self._metrics = tf.function(self._measure, autograph=False)
        self._splits = {
            name: tuple(tf.constant(a[:_MAX_EXAMPLES]) for a in data)
            for name, data in self._data().items()
        }

    def run(self, steps, seed, learning_rate=None, record_every=None):
        """Trains from a fresh initialization.

        Args:
            steps: Number of steps.
            seed: Integer seed of the initial parameters and of the batches.
            learning_rate: Learning rate for this run, or `None` for the optimizer's
                own. Defaults to `None`.
            record_every: Steps between records. Defaults to `None`: the start and the
                end only.

        Returns:
            A `pandas.DataFrame` with one row a record: `step`, and
            `<split>_loss` and `<split>_accuracy` for `train`, `validation` and `test`,
            on at most 2,000 examples of each.
        """
        return pd.DataFrame(self.records(steps, seed, learning_rate, record_every))

    def records(self, steps, seed, learning_rate=None, record_every=None):
        """Trains like `run`, and yields each record, a dict, when it is reached.

        Args:
            steps: See `run`.
            seed: See `run`.
            learning_rate: See `run`.
            record_every: See `run`.
        """
        self._reset(seed, learning_rate)
        record_every = record_every or steps
        yield self._record(0)
        for first in range(0, steps, record_every):
            last = min(first + record_every, steps)
            self._steps(tf.constant([seed, 0]), tf.constant(first), tf.constant(last))
            yield self._record(last)

    def _data(self):
        splits = ("train", "validation", "test")
        data = {name: getattr(self.task, name) for name in splits}
        return {name: arrays for name, arrays in data.items() if arrays is not None}

    def _reset(self, seed, learning_rate):
        params, state = self.task.init(seed)
        for variable, value in zip(
            [*self._params, *self._state], [*params, *state], strict=True
        ):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        if learning_rate is not None:
            self.optimizer.learning_rate = learning_rate

    def _take_steps(self, seed, first, last):
        def body(step):
            batch_seed = tf.random.experimental.stateless_fold_in(seed, step)
            self._step(*self.task.batch("train", batch_seed))
            return (step + 1,)

        tf.while_loop(lambda step: step < last, body, (first,))

    def _step(self, x, y):
        params = [tf.convert_to_tensor(v) for v in self._params]
        state = [tf.convert_to_tensor(v) for v in self._state]
        states = []

        def loss_fn(params):
            loss, _, after = self.task.evaluate_loss(params, state, x, y, training=True)
            states.append(after)
            return loss

        _, gradients = self._gradients_of()(loss_fn, params)
        self.optimizer.apply(gradients, self._params)
        for variable, value in zip(self._state, states[0], strict=True):
            variable.assign(value)

    def _gradients_of(self):
        if self.regularizer is None:
            return value_and_gradients
        optimizer = self.optimizer
        return self.regularizer.at(
            optimizer.learning_rate, optimizer.iterations
        ).gradients

    def _record(self, step):
        record = {"step": step}
        for split, (x, y) in self._splits.items():
            loss, accuracy = self._metrics(x, y)
            record |= {
                f"{split}_loss": float(loss),
                f"{split}_accuracy": float(accuracy),
            }
        return record

    def _measure(self, x, y):
        params = [tf.convert_to_tensor(v) for v in self._params]
        state = [tf.convert_to_tensor(v) for v in self._state]
        loss, outputs, _ = self.task.evaluate_loss(params, state, x, y, training=False)
        return loss, _accuracy(y, outputs)


def _accuracy(y, outputs):
    """Fraction of right classes; NaN where the task is no classification."""
    labels = y.dtype.is_integer and y.shape.rank == outputs.shape.rank - 1
    if not labels:
        return tf.constant(float("nan"))
    return tf.reduce_mean(keras.metrics.sparse_categorical_accuracy(y, outputs))
