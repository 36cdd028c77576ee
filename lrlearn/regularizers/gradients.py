"""Gradients of a scalar function of a list of tensors, on Keras's backends."""

import keras
from keras import ops

from lrlearn.vectors import dot, unit


def value_and_gradients(loss_fn, params):
    """Returns `(loss, gradients)`.

    Args:
        loss_fn: Function of a list of tensors that returns a scalar. If it has an
            attribute `scale`, that is the `scale` of `differentiate`.
        params: List of tensors or variables.

    Returns:
        A tuple of the loss and the list of its dense gradients; the gradient of a
        parameter is zero if `loss_fn` does not depend on it.

    Raises:
        NotImplementedError: If Keras runs on none of TensorFlow, JAX and PyTorch.
    """
    params = [_tensor(w) for w in params]
    scale = getattr(loss_fn, "scale", None)
    (loss, _), gradients = differentiate(lambda w: (loss_fn(w), ()), params, scale)
    return loss, fill(gradients, params)


def differentiate(fn, params, scale=None):
    """Returns `((loss, auxiliary), gradients)`.

    Args:
        fn: Function of a list of tensors that returns a scalar and anything else.
        params: List of tensors.
        scale: Scalar that multiplies the loss before differentiation and divides the
            gradients, so that none vanishes in half precision. Defaults to `None`.

    Returns:
        A tuple of the result of `fn` and a list of dense gradients. If the loss does
        not depend on a parameter, its gradient is `None` or zero, as the backend has
        it.

    Raises:
        NotImplementedError: If Keras runs on none of TensorFlow, JAX and PyTorch.
    """
    backend = keras.backend.backend()
    if backend not in _DIFFERENTIATE:
        raise NotImplementedError(
            f"Regularizers need one of the backends {tuple(_DIFFERENTIATE)}. "
            f"Received: KERAS_BACKEND={backend}"
        )
    if scale is None:
        return _DIFFERENTIATE[backend](fn, params)

    def scaled(params):
        loss, auxiliary = fn(params)
        return loss * ops.cast(scale, loss.dtype), (loss, auxiliary)

    (_, results), gradients = _DIFFERENTIATE[backend](scaled, params)
    return results, [
        g if g is None else g / ops.cast(scale, g.dtype) for g in gradients
    ]


def fill(gradients, params):
    """Returns the gradients with zeros for those that are `None`."""
    return [
        ops.zeros_like(w) if g is None else g
        for g, w in zip(gradients, params, strict=True)
    ]


def gradient_norm(loss_fn, params):
    r"""Returns $|\nabla L(w)|$, which can be differentiated safely.

    Its gradient is the exact Hessian-vector product $H\,g/|g|$, by nested gradients. It
    is zero, not NaN, if $g = \nabla L(w)$ is zero.

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


def _tensor(w):
    """Returns a tensor; `ops.convert_to_tensor` alone may return a variable."""
    w = w.value if isinstance(w, keras.Variable) else w
    return ops.convert_to_tensor(w)


def _tensorflow(fn, params):
    import tensorflow as tf

    params = [tf.convert_to_tensor(w) for w in params]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        loss, auxiliary = fn(params)
    gradients = tape.gradient(loss, params)
    gradients = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
    return (loss, auxiliary), gradients


def _jax(fn, params):
    import jax

    return jax.value_and_grad(fn, has_aux=True)(params)


def _torch(fn, params):
    import torch

    # Within another call, which differentiates the result of this one.
    nested = torch.is_grad_enabled() and any(
        w.requires_grad and not isinstance(w, torch.nn.Parameter) for w in params
    )
    with torch.enable_grad():
        if not nested:
            params = [w.detach().requires_grad_() for w in params]
        loss, auxiliary = fn(params)
        if not loss.requires_grad:
            return (loss, auxiliary), [None] * len(params)
        gradients = torch.autograd.grad(
            loss, params, create_graph=nested, allow_unused=True
        )
    return (loss if nested else loss.detach(), auxiliary), list(gradients)


_DIFFERENTIATE = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
