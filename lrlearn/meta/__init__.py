"""Meta-training of update rules."""

from lrlearn.meta.callbacks import ProgressBar, TensorBoard
from lrlearn.meta.estimators import Estimator, FullTape, Replay
from lrlearn.meta.trainer import MetaTrainer

__all__ = [
    "Estimator",
    "FullTape",
    "MetaTrainer",
    "ProgressBar",
    "Replay",
    "TensorBoard",
]
