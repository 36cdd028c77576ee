"""How well, and how flat: training runs, sharpness and statistics."""

from lrlearn import tensorflow_only  # noqa: F401
from lrlearn.evaluation.hessian import (
    EigenvalueResult,
    TraceResult,
    hessian_trace,
    top_eigenvalue,
)
from lrlearn.evaluation.landscape import (
    landscape,
    loss_landscape,
    random_directions,
)
from lrlearn.evaluation.model_loss import model_loss
from lrlearn.evaluation.pga import PGA, PGAResult, pga
from lrlearn.evaluation.sharpness import SharpnessEvaluator, sharpness
from lrlearn.evaluation.stacked_training import StackedTraining
from lrlearn.evaluation.statistics import mean_interval, summarize
from lrlearn.evaluation.training import Training
from lrlearn.evaluation.tuning import tune_learning_rate

__all__ = [
    "EigenvalueResult",
    "PGA",
    "PGAResult",
    "SharpnessEvaluator",
    "StackedTraining",
    "TraceResult",
    "Training",
    "hessian_trace",
    "landscape",
    "loss_landscape",
    "mean_interval",
    "model_loss",
    "pga",
    "random_directions",
    "sharpness",
    "summarize",
    "top_eigenvalue",
    "tune_learning_rate",
]
