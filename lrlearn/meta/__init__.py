"""Meta-training of update rules."""

from lrlearn import tensorflow_only  # noqa: F401
from lrlearn.meta.callbacks import ProgressBar, TensorBoard
from lrlearn.meta.estimators import ES, NRES, PES, Estimate, Estimator, FullTape, Replay
from lrlearn.meta.history import MetaHistory
from lrlearn.meta.meta_settings import MetaSettings
from lrlearn.meta.recipe import Recipe
from lrlearn.meta.teachers import GapFeedback, LearnedMixture, Teacher
from lrlearn.meta.trainer import MetaTrainer

__all__ = [
    "ES",
    "NRES",
    "PES",
    "Estimate",
    "Estimator",
    "FullTape",
    "GapFeedback",
    "LearnedMixture",
    "MetaHistory",
    "MetaSettings",
    "MetaTrainer",
    "ProgressBar",
    "Recipe",
    "Replay",
    "Teacher",
    "TensorBoard",
]
