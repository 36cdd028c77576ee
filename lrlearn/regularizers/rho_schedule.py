"""A radius that follows the learning rate."""

from keras import ops
from keras.saving import register_keras_serializable

from lrlearn.checks import check_non_negative
from lrlearn.configurable import Configurable


@register_keras_serializable(package="lrlearn")
class RhoSchedule(Configurable):
    r"""A perturbation radius that is linear in the learning rate $\eta_t$.

    $$\rho_t = \max\!\left(0,\ \rho_{\min} + (\rho_{\max} - \rho_{\min})
      \frac{\eta_t - \eta_{\min}}{\eta_{\max} - \eta_{\min}}\right)$$

    Args:
        rho_min: Radius at `lr_min`, at least 0.
        rho_max: Radius at `lr_max`, at least 0.
        lr_min: Smallest learning rate, at least 0. Defaults to `0.0`.
        lr_max: Largest learning rate, above `lr_min`. Defaults to `1.0`.

    Raises:
        ValueError: If an argument is negative or not finite, or if `lr_max` is not
            above `lr_min`.

    Reference:
        [Zhuang et al., 2022](https://arxiv.org/abs/2203.08065), algorithm 1.

    Example:
        >>> import lrlearn
        >>> rho = lrlearn.regularizers.RhoSchedule(0.02, 0.1, lr_min=0.0, lr_max=0.01)
        >>> regularizer = lrlearn.regularizers.GSAM(rho=rho)
        >>> round(float(regularizer.resolve(learning_rate=0.005).rho), 6)
        0.06
    """

    def __init__(self, rho_min, rho_max, lr_min=0.0, lr_max=1.0):
        self.rho_min = check_non_negative("rho_min", rho_min)
        self.rho_max = check_non_negative("rho_max", rho_max)
        self.lr_min = check_non_negative("lr_min", lr_min)
        self.lr_max = check_non_negative("lr_max", lr_max)
        if self.lr_max <= self.lr_min:
            raise ValueError(
                f"`lr_max` must be above `lr_min`. Received: {lr_max=}, {lr_min=}"
            )

    def __call__(self, learning_rate):
        """Returns the radius at a learning rate, a scalar tensor."""
        done = (learning_rate - self.lr_min) / (self.lr_max - self.lr_min)
        return ops.maximum(self.rho_min + (self.rho_max - self.rho_min) * done, 0.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "rho_min": self.rho_min,
            "rho_max": self.rho_max,
            "lr_min": self.lr_min,
            "lr_max": self.lr_max,
        }
