"""Processes that meta-train together."""

import contextlib

import numpy as np
import tensorflow as tf

_LOST = tf.errors.UnavailableError, tf.errors.AbortedError


class Workers:
    """The processes of a strategy: the replicas of this one, and what all agree on.

    Args:
        strategy: A `tf.distribute.Strategy`.

    Attributes:
        index: Index of this process, 0 if it is the only one.
        replicas: The indices, over all processes, of this process's replicas.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self.replicas = []
        strategy.experimental_distribute_values_from_function(self._note)
        # Not its `task_id`, which a chief shares with the first worker.
        self.index = min(self.replicas) // len(self.replicas)

    def least(self, number):
        """Returns the least of the integers that the processes call this with."""
        return int(np.min(self._all(np.array(number))))

    def mean(self, values):
        """Returns the mean, an array, of lists that the processes call this with."""
        return np.mean(self._all(np.array(values, "float64")), axis=0)

    def newest_of_all(self, directory, step):
        """Returns the arrays of the newest checkpoint that all processes have.

        Args:
            directory: A `CheckpointDirectory`, or `None`.
            step: Step that this process is at; from an earlier or the same one nothing
                is taken, and it returns `None`.

        Raises:
            ValueError: If another process has none, and this one more than its first;
                or if this one cannot read it.
        """
        arrays = directory and directory.load()
        newest = len(arrays["history"]) if arrays else 0
        common = self.least(max(newest, step))
        if not common and newest and directory.number() > 1:
            raise ValueError(
                "All workers must have checkpoints if one has gone on from its first. "
                f"Received: {newest} meta-steps here, none of another worker"
            )
        if common <= step:
            return None
        return directory.load(common) if common < newest else arrays

    @contextlib.contextmanager
    def lost_are_named(self):
        """Raises a `ConnectionError` if another process is lost within it."""
        try:
            yield
        except _LOST as error:
            raise ConnectionError(
                "Another worker was lost. Start all of them again, to go on from the "
                "last checkpoint"
            ) from error

    def _all(self, array):
        """Returns the arrays of all processes, `[n, ...]`."""
        if len(self.replicas) == self._strategy.num_replicas_in_sync:
            return array[None]
        values = self._strategy.experimental_distribute_values_from_function(
            lambda _: tf.constant(array[None])
        )
        with self.lost_are_named():
            return self._strategy.gather(values, axis=0).numpy()

    def _note(self, context):
        self.replicas.append(int(context.replica_id_in_sync_group))
        return tf.zeros(())
