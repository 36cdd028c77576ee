"""Sharpness-aware minimization."""

from keras import ops, saving
from keras.optimizers.schedules import LearningRateSchedule

from lrlearn.checks import check_non_negative
from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.regularizers.rho_schedule import RhoSchedule
from lrlearn.vectors import ascend, norm

_SCHEDULES = (RhoSchedule, LearningRateSchedule)


@saving.register_keras_serializable(package="lrlearn")
class SAM(Regularizer):
    r"""Sharpness-aware minimization: the gradient at the worst point nearby.

    $$\epsilon = \rho\,g/|g|, \qquad \mathrm{field} = \nabla L(w + \epsilon), \qquad
      \mathrm{penalty} = L(w + \epsilon) - L(w).$$

    One more gradient a step.

    Args:
        rho: Radius of the perturbation, at least 0 (0 gives plain gradients); or a
            schedule: a `RhoSchedule`, which follows the learning rate, or one of
            `keras.optimizers.schedules`, which follows the step. Defaults to `0.05`.
        relative: Whether the radius is `rho` times the norm of the parameters, so that
            larger weights do not shrink the ball. Defaults to `False`.

    Raises:
        ValueError: If `rho` is negative or not finite.

    Reference:
        [Foret et al., 2021](https://arxiv.org/abs/2010.01412), equations 2 and 3.

    Example:
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     return ops.sum(params[0] ** 2)
        >>> sam = lrlearn.regularizers.SAM(rho=0.5)
        >>> loss, gradients = sam.gradients(loss_fn, [ops.array([3.0, 4.0])])
        >>> float(loss), [round(float(x), 4) for x in gradients[0]]
        (25.0, [6.6, 8.8])
    """

    def __init__(self, rho=0.05, relative=False):
        self.relative = relative
        self.rho = (
            rho if isinstance(rho, _SCHEDULES) else check_non_negative("rho", rho)
        )

    def field(self, loss_fn, params, loss, g):
        """See `Regularizer`."""
        _, g_p = value_and_gradients(loss_fn, self.perturb(params, g))
        return g_p

    def penalty(self, loss_fn, params):
        """See `Regularizer`."""
        loss, g = value_and_gradients(loss_fn, params)
        return loss_fn(self.perturb(params, g)) - loss

    def perturb(self, params, g):
        r"""Returns $w + \rho\,g/|g|$, or $w + \rho\,|w|\,g/|g|$, a list of tensors.

        Raises:
            ValueError: If `rho` is a schedule; call `resolve` first.
        """
        radius = self._radius()
        if self.relative:
            radius = ops.multiply(radius, ops.stop_gradient(norm(params)))
        return ascend(params, g, radius)

    def resolve(self, learning_rate, step=0):
        """See `Regularizer`."""
        if not isinstance(self.rho, _SCHEDULES):
            return self
        by_rate = isinstance(self.rho, RhoSchedule)
        if by_rate and learning_rate is None:
            raise ValueError(
                "`rho` must not be a RhoSchedule if the optimizer has no single "
                "learning rate. Received: learning_rate=None"
            )
        return self._with(rho=self.rho(learning_rate if by_rate else step))

    def scaled(self, factor):
        """See `Regularizer`."""
        return self._with(rho=self._radius() * factor)

    def get_config(self):
        """See `Regularizer`."""
        return {
            "rho": saving.serialize_keras_object(self.rho),
            "relative": self.relative,
        }

    def _radius(self):
        if isinstance(self.rho, _SCHEDULES):
            raise ValueError(
                "`rho` must be a number here; call `resolve` first. "
                f"Received: rho={self.rho!r}"
            )
        return self.rho

    @classmethod
    def from_config(cls, config):
        """See `Regularizer`."""
        return cls(**{**config, "rho": saving.deserialize_keras_object(config["rho"])})
