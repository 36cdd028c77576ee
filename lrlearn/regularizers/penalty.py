"""A regularizer from a function."""

import functools

from keras import ops
from keras.saving import get_registered_object
from keras.saving import register_keras_serializable as register

from lrlearn.checks import check_non_negative
from lrlearn.functions import name_of
from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.vectors import add


@register(package="lrlearn")
class Penalty(Regularizer):
    r"""A regularizer from a function $R$; automatic differentiation gives its field.

    $$\mathrm{field} = g + \lambda\,\nabla R(w), \qquad
      \mathrm{penalty} = \lambda\,R(w).$$

    $R$ may use the loss and its gradients, as by `gradient_norm`. What is constant to
    differentiation goes through `keras.ops.stop_gradient`. If the regularizer is to be
    loaded from a file, register the function by
    `keras.saving.register_keras_serializable`: files never hold code.

    Args:
        function: $R$, a function `(loss_fn, params)` of the loss, which is a function
            of a list of tensors, and such a list; it returns a scalar.
        weight: Weight $\lambda$, at least 0. Defaults to `1.0`.

    Raises:
        ValueError: If `function` is none, or `weight` is negative or not finite.

    Example:
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     return ops.sum(params[0] ** 2)
        >>> penalty = lrlearn.regularizers.Penalty(lambda f, w: ops.sum(ops.abs(w[0])))
        >>> loss, gradients = penalty.gradients(loss_fn, [ops.array([1.0, -2.0])])
        >>> gradients[0].numpy().tolist()
        [3.0, -5.0]
    """

    def __init__(self, function, weight=1.0):
        if not callable(function):
            raise ValueError(
                "`function` must be a function (loss_fn, params), registered by "
                "keras.saving.register_keras_serializable if it comes from a file. "
                f"Received: {function!r}"
            )
        self.function = function
        self.weight = check_non_negative("weight", weight)

    def field(self, loss_fn, params, loss, g):
        """See `Regularizer`."""
        function = functools.partial(self._evaluate, loss_fn)
        function.scale = getattr(loss_fn, "scale", None)
        _, r = value_and_gradients(function, params)
        return add(g, r, self.weight)

    def penalty(self, loss_fn, params):
        """See `Regularizer`."""
        params = [ops.convert_to_tensor(w) for w in params]
        return ops.multiply(self.weight, self._evaluate(loss_fn, params))

    def scaled(self, factor):
        """See `Regularizer`."""
        return self._with(weight=self.weight * factor)

    def get_config(self):
        """See `Regularizer`."""
        return {"function": name_of(self.function), "weight": self.weight}

    @classmethod
    def from_config(cls, config):
        """See `Regularizer`."""
        name = config["function"]
        return cls(**{**config, "function": get_registered_object(name) or name})

    def _evaluate(self, loss_fn, params):
        value = ops.convert_to_tensor(self.function(loss_fn, params))
        if tuple(value.shape):
            raise ValueError(
                "`function` must return a scalar. Received: a tensor of shape "
                f"{tuple(value.shape)}"
            )
        return value
