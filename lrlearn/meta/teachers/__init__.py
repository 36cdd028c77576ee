"""Teachers: regularizers, also such as change in meta-training."""

from lrlearn import regularizers
from lrlearn.meta.teachers.gap_feedback import GapFeedback
from lrlearn.meta.teachers.learned_mixture import LearnedMixture
from lrlearn.meta.teachers.teacher import Fixed, Scheduled, Teacher

__all__ = ["Fixed", "GapFeedback", "LearnedMixture", "Scheduled", "Teacher", "get"]


def get(identifier):
    """Returns a `Teacher`.

    Args:
        identifier: A `Teacher`, or what `lrlearn.regularizers.get` takes; of a
            regularizer that follows a schedule of Keras it makes a `Scheduled`.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(identifier, Teacher):
        return identifier
    regularizer = regularizers.get(identifier)
    if regularizer is None or regularizer.resolve(1.0) is regularizer:
        return Fixed(regularizer)
    return Scheduled(regularizer)
