"""Weight decay, the plain control."""

from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.checks import check_non_negative
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.vectors import add, dot


@register_keras_serializable(package="lrlearn")
class L2(Regularizer):
    r"""Squared norm of the parameters: the plain control of the other regularizers.

    $$\mathrm{field} = g + \lambda w, \qquad
      \mathrm{penalty} = \tfrac{\lambda}{2} |w|^2.$$

    Args:
        weight: Weight $\lambda$, at least 0. Defaults to `1e-4`.

    Raises:
        ValueError: If `weight` is negative or not finite.

    Reference:
        [Krogh & Hertz, 1991](https://proceedings.neurips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html),
        equation 1.

    Example:
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     return ops.sum(params[0] ** 2)
        >>> l2 = lrlearn.regularizers.L2(weight=0.5)
        >>> loss, gradients = l2.gradients(loss_fn, [ops.array([1.0, -2.0])])
        >>> gradients[0].numpy().tolist()
        [2.5, -5.0]
    """

    def __init__(self, weight=1e-4):
        self.weight = check_non_negative("weight", weight)

    def field(self, loss_fn, params, loss, g):
        """See `Regularizer`."""
        return add(g, params, self.weight)

    def penalty(self, loss_fn, params):
        """See `Regularizer`."""
        params = [ops.convert_to_tensor(w) for w in params]
        return ops.multiply(0.5 * self.weight, dot(params, params))

    def scaled(self, factor):
        """See `Regularizer`."""
        return self._with(weight=self.weight * factor)

    def get_config(self):
        """See `Regularizer`."""
        return {"weight": self.weight}
