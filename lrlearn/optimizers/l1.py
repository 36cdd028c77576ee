"""An L1 penalty whose zeros are exact, for any update rule."""

from keras import ops


class L1:
    r"""Steps on $L(w) + \lambda\,|w|_1$ that stay in one orthant.

    At a kink the penalty has many subgradients. The rule sees the shortest one,

    $$\tilde g = \begin{cases}
      g + \lambda\,\mathrm{sign}(w) & w \ne 0 \\
      \mathrm{sign}(g)\,\max(|g| - \lambda, 0) & w = 0,
    \end{cases}$$

    and a coordinate may not leave its orthant
    $\xi = \mathrm{sign}(w)$, or $\mathrm{sign}(-\tilde g)$ if $w = 0$: then it is 0,

    $$w \leftarrow \begin{cases}
      w + d & \mathrm{sign}(w + d) = \xi \\ 0 & \text{otherwise.}
    \end{cases}$$

    A proximal step, $\mathrm{prox}_{\alpha\lambda}(w + d)$, would need the step size
    $\alpha$ of each coordinate, which a rule does not have: it may give any direction.
    Here a minimum, $\tilde g = 0$, is where a zero stays and a weight is not pushed,
    whatever the rule.

    Args:
        strength: $\lambda$, a float.
        variables: The variables that the optimizer was built with. Penalized are those
            of at least two axes that are not named as a bias.

    Reference:
        [Andrew & Gao, 2007](https://dl.acm.org/doi/10.1145/1273496.1273501), section
        3.2.
    """

    def __init__(self, strength, variables):
        self._strength = strength
        self._penalized = [strength > 0 and _is_kernel(v) for v in variables]

    def subgradients(self, gradients, values):
        """Returns the gradients that the rule sees; arguments are lists of all."""
        return [
            g if g is None or not is_penalized else self._subgradient(g, w)
            for g, w, is_penalized in zip(
                gradients, values, self._penalized, strict=True
            )
        ]

    def limit(self, index, d, g, w):
        """Returns the update of variable `index` that stays in its orthant.

        Args:
            index: Position of the variable in those of the constructor.
            d: Update, a tensor of the variable's type.
            g: Gradient without the penalty.
            w: The variable or its value.
        """
        if not self._penalized[index]:
            return d
        w = ops.stop_gradient(ops.convert_to_tensor(w))
        at_zero = -ops.sign(self._subgradient(g, w))
        orthant = ops.where(w == 0, ops.cast(at_zero, d.dtype), ops.sign(w))
        # NaN is neither, and stays.
        leaves = (orthant == 0) | (ops.sign(w + d) * orthant < 0)
        return ops.where(leaves, -w, d)

    def _subgradient(self, g, w):
        # Torch would record what follows from a parameter.
        w = ops.stop_gradient(ops.convert_to_tensor(w))
        g, w = ops.cast(g, "float32"), ops.cast(w, "float32")
        shrunk = ops.sign(g) * ops.maximum(ops.abs(g) - self._strength, 0.0)
        return ops.where(w == 0, shrunk, g + self._strength * ops.sign(w))


def _is_kernel(variable):
    return len(variable.shape) > 1 and "bias" not in variable.name
