"""Gradients of a scalar function of a list of tensors."""

import keras
from keras import ops

from lrlearn.regularizers.vectors import dot, unit


def value_and_gradients(loss_fn, params):
    """Returns `(loss, gradients)`.

    Args:
        loss_fn: Function of a list of tensors that returns a scalar.
        params: List of tensors or variables.

    Returns:
        A tuple of the loss and the list of its dense gradients, zero where `loss_fn`
        does not depend on a parameter.

    Raises:
        NotImplementedError: If Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise NotImplementedError(
            "Regularizers need the TensorFlow backend. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
    import tensorflow as tf

    params = [tf.convert_to_tensor(w) for w in params]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        loss = loss_fn(params)
    gradients = tape.gradient(
        loss, params, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return loss, [tf.convert_to_tensor(g) for g in gradients]


def gradient_norm(loss_fn, params):
    r"""Returns $|\nabla L(w)|$, to be differentiated safely.

    Its gradient is the exact Hessian-vector product $H\,g/|g|$, by nested gradients,
    and zero, not NaN, where $g = \nabla L(w)$ is zero.

    Args:
        loss_fn: Function of a list of tensors that returns a scalar.
        params: List of tensors or variables.

    Returns:
        A scalar, the norm over all parameters together.

    Example:
        >>> from keras import ops
        >>> from lrlearn.regularizers import gradients
        >>> def loss_fn(params):
        ...     return ops.sum(params[0] ** 2)
        >>> float(gradients.gradient_norm(loss_fn, [ops.array([3.0, 4.0])]))
        10.0
    """
    _, g = value_and_gradients(loss_fn, params)
    return dot(g, [ops.stop_gradient(x) for x in unit(g)])
