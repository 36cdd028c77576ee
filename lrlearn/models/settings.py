"""What a compiled step holds as constants."""

import numbers

from keras.optimizers.schedules import LearningRateSchedule

from lrlearn.regularizers import Regularizer, RhoSchedule

_OPEN = (Regularizer, RhoSchedule, LearningRateSchedule)


def settings(value):
    """Returns a string that tells values apart, also those inside of a regularizer.

    Args:
        value: A regularizer or `None`, or what is among its attributes. Of objects that
            are neither regularizers, schedules, containers, numbers nor strings, only
            the identity counts.

    Example:
        >>> from lrlearn.models.settings import settings
        >>> from lrlearn.regularizers import SAM
        >>> sam = SAM(rho=0.05)
        >>> before = settings(sam)
        >>> sam.rho = 0.1
        >>> settings(sam) == before, settings(SAM(rho=0.05)) == before
        (False, True)
    """
    if value is None or isinstance(value, numbers.Number | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return repr([settings(v) for v in value])
    if isinstance(value, dict):
        return repr({name: settings(v) for name, v in value.items()})
    if isinstance(value, _OPEN):
        return f"{type(value)}{settings(vars(value))}"
    return repr(id(value))
