"""How well, and how flat: training runs, sharpness and statistics."""

from lrlearn.evaluation.model_loss import model_loss
from lrlearn.evaluation.pga import PGA, PGAResult, pga
from lrlearn.evaluation.sharpness import SharpnessEvaluator, sharpness
from lrlearn.evaluation.statistics import mean_interval, summarize
from lrlearn.evaluation.training import Training
from lrlearn.evaluation.tuning import tune_learning_rate

__all__ = [
    "PGA",
    "PGAResult",
    "SharpnessEvaluator",
    "Training",
    "mean_interval",
    "model_loss",
    "pga",
    "sharpness",
    "summarize",
    "tune_learning_rate",
]
