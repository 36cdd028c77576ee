"""Differences between Keras's backends."""

import contextlib

import keras
from keras import ops


def dense(gradients):
    """Returns the gradients without `tf.IndexedSlices` or JAX's sparse arrays.

    Keras clips each slice on its own, repeated indices and all, and a rule's state
    moves in every row.
    """
    return [g if g is None else _dense(g) for g in gradients]


def _dense(gradient):
    if keras.backend.backend() != "tensorflow":
        return ops.convert_to_tensor(gradient, sparse=False)
    import tensorflow as tf

    return tf.convert_to_tensor(gradient)


def apply_reduced(optimizer, gradients, variables):
    """Applies gradients that are already those of all replicas, under TensorFlow.

    Within a replica Keras sums them, by an operation with a gradient of its own: for
    its sake TensorFlow keeps the graph of the step for good.

    Args:
        optimizer: A Keras optimizer.
        gradients: A list of tensors.
        variables: A list of variables.
    """
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None:
        optimizer.apply(gradients, variables)
    else:
        replica.merge_call(lambda _: optimizer.apply(gradients, variables))


def outside_graph():
    """Returns a context in which TensorFlow's variables have values."""
    if keras.backend.backend() != "tensorflow":
        return contextlib.nullcontext()
    import tensorflow as tf

    return tf.init_scope()


def beside(variables):
    """Returns a context in which new variables are on the replicas that others are on.

    As for all of Keras's optimizers, it must be entered in the scope of their strategy.

    Args:
        variables: A list of variables, which may be empty.
    """
    values = [v.value if isinstance(v, keras.Variable) else v for v in variables[:1]]
    for value in values:
        # Only TensorFlow's have one.
        strategy = getattr(value, "distribute_strategy", None)
        if strategy is not None:
            return strategy.extended.colocate_vars_with(value)
    return contextlib.nullcontext()
