"""The interface of teachers."""

import numpy as np

from lrlearn.configurable import Configurable


class Teacher(Configurable):
    """A regularizer that may change in meta-training.

    What changes are its *values*, a float32 array; a checkpoint keeps them. Subclasses
    implement `start`, `regularizer`, `get_config` and, unless values stay, `update`.

    Attributes:
        every: Meta-steps from one update to the next. Defaults to `1`.
        measures: What `update` needs: `"step"`, `"gap"` or `"alignment"`. Defaults to
            `"step"`.
        names: Names of the values in the history. Default to none: they are not there.
    """

    every = 1
    measures = "step"
    names = ()

    def start(self):
        """Returns the values of the first meta-step."""
        raise NotImplementedError

    def regularizer(self, values):
        """Returns the `Regularizer`, or `None` for plain gradients.

        Args:
            values: A tensor like `start()`, or such an array.
        """
        raise NotImplementedError

    def update(self, values, measured):
        """Returns the values from now on; by default they stay.

        Args:
            values: Those before, an array.
            measured: The number of meta-steps done; the generalization gap, a float; or
                the alignments, an array.
        """
        return values


def check_no_schedule(name, regularizer):
    """Raises a `ValueError` if a regularizer follows a schedule or a learning rate."""
    if regularizer.resolve(1.0) is not regularizer:
        raise ValueError(
            f"`{name}` must not follow a schedule or a learning rate in a teacher that "
            f"adapts. Received: {regularizer}"
        )


class Fixed(Teacher):
    """A regularizer, or none, throughout meta-training.

    Args:
        regularizer: A `Regularizer`, or `None`.
    """

    def __init__(self, regularizer):
        self._regularizer = regularizer

    def start(self):
        """See `Teacher`."""
        return np.zeros(0, "float32")

    def regularizer(self, values):
        """See `Teacher`."""
        return self._regularizer


class Scheduled(Fixed):
    """A regularizer with schedules of Keras, which follow the meta-step.

    Args:
        regularizer: A `Regularizer` such as `SAM(rho=schedule)`.

    Raises:
        ValueError: If it follows a learning rate.
    """

    def __init__(self, regularizer):
        super().__init__(regularizer)
        try:
            self.regularizer(self.start())
        except ValueError:
            raise ValueError(
                "`regularizer` must not follow a learning rate: a learned optimizer "
                f"has none. Received: {regularizer.get_config()}"
            ) from None

    def start(self):
        """See `Teacher`."""
        return np.zeros(1, "float32")

    def regularizer(self, values):
        """See `Teacher`."""
        return self._regularizer.resolve(None, values[0])

    def update(self, values, measured):
        """See `Teacher`."""
        return np.array([measured], "float32")
