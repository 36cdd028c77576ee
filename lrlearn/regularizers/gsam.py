"""Surrogate gap guided sharpness-aware minimization."""

from keras.saving import register_keras_serializable

from lrlearn.checks import check_non_negative
from lrlearn.regularizers.sam import SAM
from lrlearn.vectors import add, perpendicular


@register_keras_serializable(package="lrlearn")
class GSAM(SAM):
    r"""Surrogate gap guided SAM: also shrinks the gap between worst and plain loss.

    With $\epsilon = \rho\,g/|g|$, the perturbed loss $L_p = L(w + \epsilon)$, its
    gradient $g_p$ and the surrogate gap $h = L_p - L(w)$:

    $$g_\perp = g - \frac{g \cdot g_p}{|g_p|^2}\,g_p, \qquad
      \mathrm{field} = g_p - \alpha\,g_\perp, \qquad
      \mathrm{penalty} = L_p + \alpha h - L(w) = (1 + \alpha)\,h.$$

    One more gradient a step.

    Args:
        rho: Radius of the perturbation, at least 0 (0 gives plain gradients), or a
            schedule as in `SAM`. Defaults to `0.05`.
        alpha: Weight of the surrogate gap, at least 0 (0 gives SAM). Defaults to `0.4`.
        relative: See `SAM`. Defaults to `False`.

    Raises:
        ValueError: If an argument is negative or not finite.

    Reference:
        [Zhuang et al., 2022](https://arxiv.org/abs/2203.08065), algorithm 1.

    Example:
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     x, y = params
        ...     return 0.5 * x**2 + 5.0 * y**2
        >>> gsam = lrlearn.regularizers.GSAM(rho=0.1, alpha=0.4)
        >>> loss, gradients = gsam.gradients(loss_fn, [ops.array(1.0), ops.array(1.0)])
        >>> [round(float(x), 4) for x in gradients]
        [0.9776, 10.998]
    """

    def __init__(self, rho=0.05, alpha=0.4, relative=False):
        super().__init__(rho, relative)
        self.alpha = check_non_negative("alpha", alpha)

    def field(self, loss_fn, params, loss, g):
        """See `Regularizer`."""
        g_p = super().field(loss_fn, params, loss, g)
        return add(g_p, perpendicular(g, g_p), -self.alpha)

    def penalty(self, loss_fn, params):
        """See `Regularizer`."""
        return (1.0 + self.alpha) * super().penalty(loss_fn, params)

    def get_config(self):
        """See `Regularizer`."""
        return {**super().get_config(), "alpha": self.alpha}
