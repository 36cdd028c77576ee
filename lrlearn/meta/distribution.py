"""What meta-training asks of a `tf.distribute.Strategy`."""

import tensorflow as tf


def refuse_scope():
    """Raises a `ValueError` within a strategy's scope, where updates would fail."""
    if tf.distribute.has_strategy():
        raise ValueError(
            "MetaTrainer must be used outside `strategy.scope()`; give it `strategy` "
            f"instead. Received: the scope of {tf.distribute.get_strategy()}"
        )


def local_replicas(strategy):
    """Returns the indices, over all processes, of this process's replicas."""
    indices = []

    def note(context):
        indices.append(int(context.replica_id_in_sync_group))
        return tf.zeros(())

    strategy.experimental_distribute_values_from_function(note)
    return indices


def worker_index(strategy):
    """Returns the index of this process among the strategy's workers."""
    resolver = strategy.cluster_resolver
    return 0 if resolver is None or resolver.task_id is None else resolver.task_id
