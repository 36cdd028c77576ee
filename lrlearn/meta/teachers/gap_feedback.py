"""A regularizer whose strength follows the generalization gap."""

import numbers

import keras
import numpy as np

from lrlearn import regularizers
from lrlearn.checks import check_count, check_positive
from lrlearn.meta.teachers.teacher import Teacher, check_no_schedule
from lrlearn.regularizers import Regularizer

_DECAY = 0.9


@keras.saving.register_keras_serializable(package="lrlearn")
class GapFeedback(Teacher):
    r"""A regularizer that is stronger while the generalization gap grows.

    The gap $G$ is the mean of $\log L_\mathrm{validation} - \log L_\mathrm{train}$ over
    the optimizees in meta-training, on a batch of each split. If it is above its moving
    average $\bar G$, the strength $s$ of the regularizer is multiplied by a factor $f$;
    else it is divided by it:

    $$s \leftarrow \mathrm{clip}(s f^{\mathrm{sign}(G - \bar G)}, s_{\min}, s_{\max}),
      \qquad \bar G \leftarrow 0.9\,\bar G + 0.1\,G.$$

    It starts at $s = 1$, the strength that the regularizer is given with.

    Args:
        regularizer: As `lrlearn.regularizers.get` takes it, but not `None`; with a
            method `scaled`, and no schedule.
        factor: $f$, above 1. Defaults to `1.1`.
        limits: Smallest and largest strength, the pair $(s_{\min}, s_{\max})$ with
            $s_{\min} \le 1 \le s_{\max}$. Defaults to `(0.1, 10.0)`.
        every: Meta-steps from one update to the next. Defaults to `10`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import lrlearn
        >>> teacher = lrlearn.meta.GapFeedback("sam", factor=1.5)
        >>> values = teacher.update(teacher.start(), 0.2)  # the first gap: no change
        >>> float(teacher.update(values, 0.3)[0])
        1.5
    """

    measures = "gap"
    names = ("strength", "gap")

    def __init__(self, regularizer, factor=1.1, limits=(0.1, 10.0), every=10):
        self._regularizer = regularizers.get(regularizer)
        if self._regularizer is None:
            raise ValueError(
                "`regularizer` must be given: its strength follows the gap. Received: "
                "regularizer=None"
            )
        if type(self._regularizer).scaled is Regularizer.scaled:
            raise ValueError(
                "`regularizer` must have a method `scaled`. Received: "
                f"{type(self._regularizer).__name__} without one"
            )
        check_no_schedule("regularizer", self._regularizer)
        self.factor = check_positive("factor", factor)
        if self.factor <= 1:
            raise ValueError(f"`factor` must be above 1. Received: {factor=}")
        self.limits = _check_limits(limits)
        self.every = check_count("every", every)

    def start(self):
        """See `Teacher`: strength, gap, and the gap's average, not yet known."""
        return np.array([1.0, np.nan, np.nan], "float32")

    def regularizer(self, values):
        """See `Teacher`."""
        return self._regularizer.scaled(values[0])

    def update(self, values, measured):
        """See `Teacher`."""
        strength, _, average = values
        if np.isnan(measured):
            return values
        if np.isnan(average):
            return np.array([strength, measured, measured], "float32")
        strength *= self.factor ** np.sign(measured - average)
        strength = np.clip(strength, *self.limits)
        average = _DECAY * average + (1.0 - _DECAY) * measured
        return np.array([strength, measured, average], "float32")

    def get_config(self):
        """See `Teacher`."""
        return {
            "regularizer": keras.saving.serialize_keras_object(self._regularizer),
            "factor": self.factor,
            "limits": list(self.limits),
            "every": self.every,
        }

    @classmethod
    def from_config(cls, config):
        """See `Teacher`."""
        return cls(**keras.saving.deserialize_keras_object(config))


def _check_limits(limits):
    is_pair = isinstance(limits, tuple | list) and len(limits) == 2
    if not is_pair or not all(isinstance(limit, numbers.Real) for limit in limits):
        raise ValueError(f"`limits` must be two numbers. Received: {limits=}")
    if not limits[0] <= 1 <= limits[1]:
        raise ValueError(f"`limits` must be two numbers around 1. Received: {limits=}")
    return tuple(check_positive("limits", limit) for limit in limits)
