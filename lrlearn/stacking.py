"""Functions of one network, mapped over networks stacked in tensors."""

import tensorflow as tf


def map_stacked(fn, elements, sequential=False):
    """Returns the results of `fn` for each of `K` elements, stacked.

    If elements are computed all at once, the products of shared data with the matrices
    of `K` networks become one product with a wide matrix. This is impossible for
    convolutions.

    Args:
        fn: Function of one element, a structure of tensors `[...]`, that returns a
            structure of tensors.
        elements: Structure of tensors `[K, ...]`.
        sequential: Whether elements are computed one after another, which takes the
            memory of one. Defaults to `False`.

    Raises:
        ValueError: If TensorFlow cannot vectorize an operation of `fn`, unless
            `sequential`.

    Example:
        >>> import tensorflow as tf
        >>> from lrlearn import stacking
        >>> stacked = {"w": tf.constant([[1.0, 2.0], [3.0, 4.0]])}
        >>> stacking.map_stacked(lambda e: tf.reduce_sum(e["w"]), stacked).numpy()
        array([3., 7.], dtype=float32)
    """
    if tf.nest.flatten(elements)[0].shape[0] == 1:
        outputs = fn(tf.nest.map_structure(lambda t: t[0], elements))
        return tf.nest.map_structure(lambda t: t[None], outputs)
    if not sequential:
        try:
            return tf.vectorized_map(fn, elements, fallback_to_while_loop=False)
        except ValueError as error:
            # The checks of `tf.debugging.enable_check_numerics` are not vectorized.
            if "CheckNumericsV2" not in str(error):
                raise
    function = tf.function(fn, autograph=False)
    element = tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape[1:], t.dtype), elements
    )
    outputs = function.get_concrete_function(element).structured_outputs
    return tf.map_fn(
        function,
        elements,
        fn_output_signature=tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), outputs
        ),
        parallel_iterations=1,
    )


def stack(structures):
    """Returns K structures of tensors or variables as one, of tensors `[K, ...]`.

    Example:
        >>> import tensorflow as tf
        >>> from lrlearn import stacking
        >>> networks = [{"w": tf.constant(w)} for w in (1.0, 2.0)]
        >>> stacking.stack(networks)["w"].numpy()
        array([1., 2.], dtype=float32)
    """
    return tf.nest.map_structure(
        lambda *leaves: tf.stack([tf.convert_to_tensor(leaf) for leaf in leaves]),
        *structures,
    )


def unstack(structure, count=None):
    """Returns the K structures that `stack` was given, as tensors.

    `count` is K, where the tensors' shapes don't tell.
    """
    leaves = (tf.unstack(leaf, count) for leaf in tf.nest.flatten(structure))
    return [
        tf.nest.pack_sequence_as(structure, each) for each in zip(*leaves, strict=True)
    ]


def is_sequential(shapes, state=()):
    """Returns whether networks are computed faster one after another.

    That holds for convolutions: stacked, they become grouped convolutions, several
    times as slow on CPUs. They are known by kernels of more than two axes. And random
    draws, as of dropout, have no stacked form; their seeds are in the state.

    Args:
        shapes: Shapes of the parameters of one network.
        state: Its other variables. Defaults to none.
    """
    return any(len(shape) > 2 for shape in shapes) or len(state) > 0


def scores(task, params, state, x, y):
    """Returns the losses and the metrics, `[K]`, of K networks on the same examples.

    Of the networks, `params` and `state` are lists of tensors `[K, ...]`.
    """

    def of_one(elements):
        loss, outputs, _ = task.evaluate_loss(*elements, x, y)
        return loss, outputs

    sequential = is_sequential([w.shape[1:] for w in params])
    loss, outputs = map_stacked(of_one, (params, state), sequential)
    # In turn, as metrics may have operations without a stacked form.
    networks = tf.unstack(outputs, params[0].shape[0])
    return loss, tf.stack([task.evaluate_metric(y, each) for each in networks])
