"""Sums in the order in which they are written."""

import contextlib

import tensorflow as tf

_OPTION = "arithmetic_optimization"


@contextlib.contextmanager
def ordered_sums():
    """Keeps TensorFlow from adding up in the order in which its threads happen to run.

    Its `arithmetic_optimization` joins additions, `w + a + b`, to such sums: the same
    graph then gives other bits each time. It is off in the body, and as it was after.

    Example:
        >>> import tensorflow as tf
        >>> from lrlearn.meta.ordered_sums import ordered_sums
        >>> with ordered_sums():
        ...     options = tf.config.optimizer.get_experimental_options()
        >>> options["arithmetic_optimization"]
        False
    """
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({_OPTION: False})
    try:
        yield
    finally:
        # On, unless it was set: TensorFlow has no way to unset it.
        on = before.get(_OPTION, True)
        tf.config.optimizer.set_experimental_options({_OPTION: on})
