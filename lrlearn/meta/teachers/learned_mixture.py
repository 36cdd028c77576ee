"""A mixture of regularizers whose weights are meta-learned."""

import keras
import numpy as np

from lrlearn.checks import check_count, check_positive
from lrlearn.meta.teachers.teacher import Teacher, check_no_schedule
from lrlearn.regularizers import Mixture

_LEAST = 1e-6


@keras.saving.register_keras_serializable(package="lrlearn")
class LearnedMixture(Teacher):
    r"""A `Mixture` whose weights are moved by the held-out loss of meta-training tasks.

    A meta-step along the meta-gradient $G_i$ of member $i$ lowers the held-out
    meta-loss in proportion to $G_i \cdot G_v$, with $G_v$ the meta-gradient of the
    plain loss on validation batches of the same tasks. The weights follow the cosine
    of the two, as the meta-optimizer leaves nothing of their lengths:

    $$A_i = \frac{\sum_k G_{ik} \cdot G_{vk}}
      {\sqrt{\sum_k |G_{ik}|^2 \sum_k |G_{vk}|^2}}, \qquad
      \alpha_i \leftarrow \frac{\alpha_i\,e^{\eta A_i}}{\sum_j \alpha_j e^{\eta A_j}},$$

    over the optimizees $k$ of a turn; tasks take turns. No weight falls below $10^{-6}$
    of the largest, so it can rise again. An update costs as many further
    meta-gradients as there are members, and one. It looks one unroll ahead: what a
    regularizer brings only later in a run does not count, so short unrolls favor none.

    Args:
        members: List of two or more regularizers, as `Mixture` takes them, without
            schedules. Defaults to `("none", "sam", "gsam", "gam", "l2")`.
        learning_rate: $\eta$, positive. Defaults to `1.0`.
        every: Meta-steps from one update to the next. Defaults to `10`.

    Raises:
        ValueError: If an argument is out of its range.

    Reference:
        [Kivinen & Warmuth, 1997](https://doi.org/10.1006/inco.1996.2612), section 3,
        for the update; [Ren et al., 2018](https://arxiv.org/abs/1803.09050), equation
        12, for gradients that are weighted by their agreement with held-out ones.

    Example:
        >>> import numpy as np
        >>> import lrlearn
        >>> teacher = lrlearn.meta.LearnedMixture(["none", "sam"])
        >>> teacher.update(teacher.start(), np.array([0.1, 0.3])).round(2).tolist()
        [0.44999998807907104, 0.550000011920929]
    """

    measures = "alignment"

    def __init__(
        self,
        members=("none", "sam", "gsam", "gam", "l2"),
        learning_rate=1.0,
        every=10,
    ):
        self.mixture = Mixture(members)
        if len(self.mixture.members) < 2:
            raise ValueError(
                f"`members` must be two or more regularizers. Received: {members=}"
            )
        check_no_schedule("members", self.mixture)
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.every = check_count("every", every)
        self.names = tuple(
            f"weight_{index}_{_name(member)}"
            for index, member in enumerate(self.mixture.members)
        )

    def start(self):
        """See `Teacher`."""
        count = len(self.names)
        return np.full(count, 1.0 / count, "float32")

    def regularizer(self, values):
        """See `Teacher`."""
        return self.mixture.with_weights(values[i] for i in range(len(self.names)))

    def update(self, values, measured):
        """See `Teacher`."""
        if not np.isfinite(measured).all():
            return values
        measured = np.asarray(measured, "float64")
        weights = values * np.exp(self.learning_rate * (measured - np.max(measured)))
        weights = np.maximum(weights, _LEAST * weights.max())
        return (weights / weights.sum()).astype("float32")

    def get_config(self):
        """See `Teacher`."""
        return {
            "members": self.mixture.get_config()["members"],
            "learning_rate": self.learning_rate,
            "every": self.every,
        }

    @classmethod
    def from_config(cls, config):
        """See `Teacher`."""
        return cls(**keras.saving.deserialize_keras_object(config))


def _name(member):
    return "none" if member is None else type(member).__name__.lower()
