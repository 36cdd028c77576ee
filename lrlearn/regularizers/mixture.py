"""A weighted mean of regularizers."""

import functools

from keras import ops, saving
from keras.optimizers.schedules import LearningRateSchedule

from lrlearn.checks import check_non_negative
from lrlearn.regularizers.regularizer import Regularizer
from lrlearn.vectors import add


@saving.register_keras_serializable(package="lrlearn")
class Mixture(Regularizer):
    r"""A weighted mean of regularizers.

    With the fields $F_i$ and the penalties $R_i$ of its members,

    $$\mathrm{field} = \sum_i \alpha_i F_i(w), \qquad
      \mathrm{penalty} = \sum_i \alpha_i R_i(w), \qquad
      \alpha_i = \frac{a_i}{\sum_j a_j}.$$

    A member that is `None` is the plain gradient, with penalty 0. A step costs the
    further gradients of all members.

    Args:
        members: List of regularizers: as `lrlearn.regularizers.get` takes them.
        weights: List of the weights $a_i$, at least 0 and not all 0: numbers, or
            schedules of `keras.optimizers.schedules`, which follow the step. At a step
            at which schedules are all 0, the shares are equal. Defaults to `None`: all
            are 1.

    Raises:
        ValueError: If there are no members, or the weights are none of these.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> from keras import ops
        >>> def loss_fn(params):
        ...     return ops.sum(params[0] ** 2)
        >>> rising = keras.optimizers.schedules.PolynomialDecay(0.0, 1000, 1.0)
        >>> mixture = lrlearn.regularizers.Mixture(
        ...     [None, "sam", lrlearn.regularizers.L2(0.5)], [1.0, rising, 1.0])
        >>> mixture = mixture.resolve(learning_rate=0.01, step=0)
        >>> loss, gradients = mixture.gradients(loss_fn, [ops.array([3.0, 4.0])])
        >>> gradients[0].numpy().tolist()
        [6.75, 9.0]
    """

    def __init__(self, members, weights=None):
        from lrlearn.regularizers import get

        if not isinstance(members, list | tuple) or not members:
            raise ValueError(
                "`members` must be a list of one or more regularizers. "
                f"Received: {members=}"
            )
        self.members = [get(member) for member in members]
        weights = [1.0] * len(members) if weights is None else weights
        self.weights = _check(weights, len(members))

    def field(self, loss_fn, params, loss, g):
        """See `Regularizer`."""
        fields = (
            g if member is None else member.field(loss_fn, params, loss, g)
            for member in self.members
        )
        total = [ops.zeros_like(x) for x in g]
        for alpha, field in zip(self._shares(), fields, strict=True):
            total = add(total, field, alpha)
        return total

    def penalty(self, loss_fn, params):
        """See `Regularizer`."""
        params = [ops.convert_to_tensor(w) for w in params]
        penalties = [
            ops.multiply(alpha, member.penalty(loss_fn, params))
            for alpha, member in zip(self._shares(), self.members, strict=True)
            if member is not None
        ]
        return functools.reduce(ops.add, penalties or [ops.zeros(())])

    def resolve(self, learning_rate, step=0):
        """See `Regularizer`."""
        members = [m and m.resolve(learning_rate, step) for m in self.members]
        weights = [w(step) if callable(w) else w for w in self.weights]
        same = all(map(_is, [*members, *weights], [*self.members, *self.weights]))
        return self if same else self._with(members=members, weights=weights)

    def scaled(self, factor):
        """See `Regularizer`."""
        return self._with(members=[m and m.scaled(factor) for m in self.members])

    def with_weights(self, weights):
        """Returns this mixture with other weights, numbers or scalar tensors."""
        return self._with(weights=list(weights))

    def get_config(self):
        """See `Regularizer`."""
        return {
            "members": [saving.serialize_keras_object(m) for m in self.members],
            "weights": [saving.serialize_keras_object(w) for w in self.weights],
        }

    @classmethod
    def from_config(cls, config):
        """See `Regularizer`."""
        return cls(*saving.deserialize_keras_object([*config.values()]))

    def _shares(self):
        if any(map(callable, self.weights)):
            raise ValueError(
                "`weights` must be numbers here; call `resolve` first. "
                f"Received: weights={self.weights}"
            )
        total = sum(self.weights)
        if isinstance(total, float) and total > 0:
            return [weight / total for weight in self.weights]
        equal, divisor = 1.0 / len(self.weights), ops.where(total > 0, total, 1.0)
        return [ops.where(total > 0, w / divisor, equal) for w in self.weights]


def _check(weights, count):
    if not isinstance(weights, list | tuple) or len(weights) != count:
        raise ValueError(
            f"`weights` must be a list of {count}, one for each member. "
            f"Received: {weights=}"
        )
    weights = [
        w if isinstance(w, LearningRateSchedule) else check_non_negative("weights", w)
        for w in weights
    ]
    if not any(weights):
        raise ValueError(f"`weights` must not all be 0. Received: {weights=}")
    return weights


def _is(one, other):
    return one is other
