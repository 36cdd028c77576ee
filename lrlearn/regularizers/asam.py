"""Adaptive sharpness-aware minimization."""

from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.checks import check_non_negative
from lrlearn.regularizers.sam import SAM
from lrlearn.vectors import add, unit


@register_keras_serializable(package="lrlearn")
class ASAM(SAM):
    r"""Adaptive SAM: the perturbation of a parameter is in proportion to its size.

    So it hardly changes if weights are rescaled and the network computes the same. With
    $T_w = |w| + \eta$, elementwise:

    $$\epsilon = \rho\,\frac{T_w^2\,g}{|T_w\,g|}, \qquad
      \mathrm{field} = \nabla L(w + \epsilon), \qquad
      \mathrm{penalty} = L(w + \epsilon) - L(w).$$

    One more gradient a step.

    Args:
        rho: Radius $\rho = |T_w^{-1} \epsilon|$, at least 0 (0 gives plain gradients),
            or a schedule as in `SAM`; about ten times SAM's. Defaults to `0.5`.
        eta: $\eta$, at least 0; it lets parameters that are zero move. Defaults to
            `0.01`.

    Raises:
        ValueError: If an argument is negative or not finite.

    Reference:
        [Kwon et al., 2021](https://arxiv.org/abs/2102.11600), equation 4 and
        algorithm 1.

    Example:
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     return ops.sum(params[0])
        >>> asam = lrlearn.regularizers.ASAM(rho=0.5, eta=0.0)
        >>> (w,) = asam.perturb([ops.array([3.0, -4.0])], [ops.array([1.0, 1.0])])
        >>> [round(float(x), 4) for x in w]
        [3.9, -2.4]
    """

    def __init__(self, rho=0.5, eta=0.01):
        super().__init__(rho)
        self.eta = check_non_negative("eta", eta)

    def perturb(self, params, g):
        r"""Returns $w + \rho\,T_w^2 g/|T_w g|$; see `SAM.perturb`."""
        t = [ops.abs(w) + self.eta for w in params]
        direction = unit([t_i * g_i for t_i, g_i in zip(t, g, strict=True)])
        e = [t_i * ops.cast(x, t_i.dtype) for t_i, x in zip(t, direction, strict=True)]
        return add(params, [ops.stop_gradient(x) for x in e], self._radius())

    def get_config(self):
        """See `Regularizer`."""
        return {"rho": super().get_config()["rho"], "eta": self.eta}
