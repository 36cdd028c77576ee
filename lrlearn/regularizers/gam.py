"""Gradient norm aware minimization."""

import functools

from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.checks import check_non_negative
from lrlearn.regularizers.gradients import gradient_norm, value_and_gradients
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.vectors import add, ascend, combine, norm, perpendicular

_VARIANTS = ("algorithm2", "released", "hvp")


@register_keras_serializable(package="lrlearn")
class GAM(Regularizer):
    r"""Gradient norm aware minimization: the largest gradient norm nearby is small.

    `"algorithm2"` approximates Hessians by differences of gradients. With
    $\rho$ = `rho` and $\rho'$ = `rho_perturb`:

    $$\begin{aligned}
      g_0 &= \nabla L(w), & g_1 &= \nabla L(w + \rho' g_0/|g_0|), & h_0 &= g_1 - g_0,\\
      w_2 &= w + \rho\,h_0/|h_0|, & g_2 &= \nabla L(w_2), &
      g_3 &= \nabla L(w_2 + \rho' g_2/|g_2|),
    \end{aligned}$$
    $$h_+ = \alpha g_1 + (1-\alpha) g_3, \qquad h_- = \beta g_0 + (1-\beta) g_2, \qquad
      \mathrm{field} = h_+ - \gamma
      \left(h_- - \frac{h_- \cdot h_+}{|h_+|^2}\,h_+\right).$$

    `"released"` is the authors' code, with $h_- = g_0 + |1-\beta|\,g_2$. Both cost
    three more gradients a step. `"hvp"` uses two exact Hessian-vector products a step,
    and neither $\beta$ nor $\gamma$. With $f(w) = H(w)\,g/|g|$ and $g = \nabla L(w)$:

    $$w_2 = w + \rho\,f(w)/|f(w)|, \qquad
      \mathrm{field} = \nabla L(w) + \alpha\rho\,f(w_2).$$

    The penalty is $\rho\,|\nabla L(w_2)|$ with the variant's $w_2$.

    Args:
        rho: Radius $\rho$ within which the gradient norm is maximized, at least 0.
            Defaults to `0.1`.
        rho_perturb: Radius $\rho'$ of the perturbation along a gradient, positive if
            `rho` is; `"hvp"` does not use it. Defaults to `0.1`.
        alpha: Weight $\alpha$, at least 0. Defaults to `0.4`.
        beta: Weight $\beta$, at least 0. Defaults to `0.5`.
        gamma: Weight $\gamma$, at least 0. Defaults to `0.4`.
        variant: `"algorithm2"`, `"released"` or `"hvp"`. Defaults to `"algorithm2"`.
        relative: Whether both radii are multiplied by the norm of the parameters.
            Defaults to `False`.

    Raises:
        ValueError: If an argument is not one of these.

    Reference:
        [Zhang et al., 2023](https://arxiv.org/abs/2303.03108), section 4 and
        algorithm 2.

    Example:
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     x, y = params
        ...     return 0.5 * x**2 + 5.0 * y**2
        >>> gam = lrlearn.regularizers.GAM(rho=0.1, rho_perturb=0.1)
        >>> loss, gradients = gam.gradients(loss_fn, [ops.array(1.0), ops.array(1.0)])
        >>> [round(float(x), 4) for x in gradients]
        [0.9759, 11.5985]
    """

    def __init__(
        self,
        rho=0.1,
        rho_perturb=0.1,
        alpha=0.4,
        beta=0.5,
        gamma=0.4,
        variant="algorithm2",
        relative=False,
    ):
        self.rho = check_non_negative("rho", rho)
        self.rho_perturb = check_non_negative("rho_perturb", rho_perturb)
        self.alpha = check_non_negative("alpha", alpha)
        self.beta = check_non_negative("beta", beta)
        self.gamma = check_non_negative("gamma", gamma)
        if variant not in _VARIANTS:
            raise ValueError(
                f"`variant` must be one of {_VARIANTS}. Received: {variant=}"
            )
        # The direction h0 would be that of rounding errors.
        if variant != "hvp" and self.rho > 0 and self.rho_perturb == 0:
            raise ValueError(
                "`rho_perturb` must be positive if `rho` is. "
                f"Received: {rho_perturb=}, {rho=}"
            )
        self.variant, self.relative = variant, relative

    def field(self, loss_fn, params, loss, g):
        """See `Regularizer`."""
        if self.relative:
            return self._absolute(params).field(loss_fn, params, loss, g)
        if self.variant == "hvp":
            w_2 = self._ascend_by_hvp(loss_fn, params)
            return add(g, _norm_gradients(loss_fn, w_2), self.alpha * self.rho)
        g_1, w_2 = self._ascend_by_difference(loss_fn, params, g)
        g_2 = _gradients(loss_fn, w_2)
        g_3 = _gradients(loss_fn, ascend(w_2, g_2, self.rho_perturb))
        h_plus = combine(self.alpha, g_1, 1.0 - self.alpha, g_3)
        if self.variant == "released":
            h_minus = combine(1.0, g, abs(1.0 - self.beta), g_2)
        else:
            h_minus = combine(self.beta, g, 1.0 - self.beta, g_2)
        return add(h_plus, perpendicular(h_minus, h_plus), -self.gamma)

    def penalty(self, loss_fn, params):
        """See `Regularizer`."""
        if self.relative:
            return self._absolute(params).penalty(loss_fn, params)
        if self.variant == "hvp":
            w_2 = self._ascend_by_hvp(loss_fn, params)
        else:
            g = _gradients(loss_fn, params)
            _, w_2 = self._ascend_by_difference(loss_fn, params, g)
        return ops.multiply(self.rho, gradient_norm(loss_fn, w_2))

    def scaled(self, factor):
        """See `Regularizer`."""
        return self._with(rho=self.rho * factor, rho_perturb=self.rho_perturb * factor)

    def _absolute(self, params):
        """Returns this regularizer with the radii that it has at some parameters."""
        length = ops.stop_gradient(norm(params))
        return self._with(
            rho=ops.multiply(self.rho, length),
            rho_perturb=ops.multiply(self.rho_perturb, length),
            relative=False,
        )

    def _ascend_by_hvp(self, loss_fn, params):
        """Returns `w_2`."""
        return ascend(params, _norm_gradients(loss_fn, params), self.rho)

    def _ascend_by_difference(self, loss_fn, params, g_0):
        """Returns `(g_1, w_2)`."""
        g_1 = _gradients(loss_fn, ascend(params, g_0, self.rho_perturb))
        return g_1, ascend(params, add(g_1, g_0, -1.0), self.rho)

    def get_config(self):
        """See `Regularizer`."""
        return {
            "rho": self.rho,
            "rho_perturb": self.rho_perturb,
            "alpha": self.alpha,
            "beta": self.beta,
            "gamma": self.gamma,
            "variant": self.variant,
            "relative": self.relative,
        }


def _gradients(loss_fn, params):
    return value_and_gradients(loss_fn, params)[1]


def _norm_gradients(loss_fn, params):
    """Returns the gradients of the gradient norm, `H g/|g|`."""
    norm = functools.partial(gradient_norm, loss_fn)
    norm.scale = getattr(loss_fn, "scale", None)
    return _gradients(norm, params)
