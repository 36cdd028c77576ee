"""The interface of regularizers."""

import copy

from keras import ops

from lrlearn.configurable import Configurable
from lrlearn.regularizers.gradients import value_and_gradients


class Regularizer(Configurable):
    r"""A regularizer: a gradient field over the parameters, and its penalty.

    Given a loss $L$ and parameters $w$, `field` returns the gradients for the base
    optimizer, in place of $g = \nabla L(w)$; `penalty` returns the term that the
    regularizer adds to $L(w)$. Norms are L2 norms over all parameters together, a zero
    gradient gives a zero perturbation, and perturbations are constants to
    differentiation.

    Subclasses implement `field`, `penalty` and `get_config`. They are functions of
    tensors, so they run eagerly, in a `tf.function` or `tf.while_loop`, and under XLA.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> from keras import ops
        >>> @keras.saving.register_keras_serializable(package="my_package")
        ... class L1(lrlearn.regularizers.Regularizer):
        ...     def __init__(self, weight):
        ...         self.weight = weight
        ...     def field(self, loss_fn, params, loss, g):
        ...         return [x + self.weight * ops.sign(w) for x, w in zip(g, params)]
        ...     def penalty(self, loss_fn, params):
        ...         return self.weight * sum(ops.sum(ops.abs(w)) for w in params)
        ...     def get_config(self):
        ...         return {"weight": self.weight}
        >>> def loss_fn(params):
        ...     return ops.sum(params[0] ** 2)
        >>> loss, gradients = L1(0.5).gradients(loss_fn, [ops.array([1.0, -2.0])])
        >>> float(loss), gradients[0].numpy().tolist()
        (5.0, [2.5, -4.5])
    """

    def gradients(self, loss_fn, params):
        """Returns the plain loss and the regularized gradients.

        Args:
            loss_fn: Function of a list of tensors that returns a scalar. It is called
                more than once, so it must be deterministic.
            params: List of tensors or variables.

        Returns:
            A tuple `(loss, gradients)`: a scalar, and a list of tensors like `params`.
        """
        params = [ops.convert_to_tensor(w) for w in params]
        loss, g = value_and_gradients(loss_fn, params)
        return loss, self.field(loss_fn, params, loss, g)

    def field(self, loss_fn, params, loss, g):
        """Returns the regularized gradients, given the plain ones.

        Args:
            loss_fn: Function of a list of tensors that returns a scalar.
            params: List of tensors.
            loss: `loss_fn(params)`, already computed.
            g: Its gradients at `params`, already computed.

        Returns:
            A list of tensors with the shapes and types of `g`.
        """
        raise NotImplementedError

    def penalty(self, loss_fn, params):
        """Returns the term that the regularizer adds to `loss_fn(params)`.

        Args:
            loss_fn: Function of a list of tensors that returns a scalar.
            params: List of tensors or variables.

        Returns:
            A scalar.
        """
        raise NotImplementedError

    def resolve(self, learning_rate, step=0):
        """Returns this regularizer with the values of its schedules at a step.

        Args:
            learning_rate: A number, or a scalar tensor or variable.
            step: Number of steps done, likewise. Defaults to `0`.

        Returns:
            A regularizer without schedules; `self` if it has none.
        """
        return self

    def scaled(self, factor):
        """Returns this regularizer with its strength multiplied: as a dial does.

        Args:
            factor: A number or a scalar tensor, at least 0.

        Returns:
            A regularizer. With a factor of 0 it leaves gradients as they are.
        """
        raise NotImplementedError

    def _with(self, **attributes):
        """Returns a copy with other attributes, which may be tensors."""
        other = copy.copy(self)
        vars(other).update(attributes)
        return other
