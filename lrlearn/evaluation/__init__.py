"""Training runs, measures of flatness, and statistics of runs."""

from lrlearn import tensorflow_only  # noqa: F401
from lrlearn.evaluation.aggregates import (
    interquartile_mean,
    performance_profiles,
    probability_of_improvement,
)
from lrlearn.evaluation.bootstrap import (
    Interval,
    hierarchical_bootstrap,
    log_ratio,
    verdict,
)
from lrlearn.evaluation.gradient_ascent import PGA, PGAResult, pga
from lrlearn.evaluation.hessian import (
    EigenvalueResult,
    Hessian,
    TraceResult,
    hessian_trace,
    top_eigenvalue,
)
from lrlearn.evaluation.landscapes import (
    landscape,
    loss_landscape,
    random_directions,
)
from lrlearn.evaluation.measured_loss import model_loss
from lrlearn.evaluation.sharpness_evaluator import SharpnessEvaluator, sharpness
from lrlearn.evaluation.stacked_sharpness import StackedSharpness
from lrlearn.evaluation.statistics import mean_interval, summarize
from lrlearn.evaluation.training import Training
from lrlearn.evaluation.tuning import tune_learning_rate
from lrlearn.models.training_loss import parameters

__all__ = [
    "EigenvalueResult",
    "Hessian",
    "Interval",
    "PGA",
    "PGAResult",
    "SharpnessEvaluator",
    "StackedSharpness",
    "TraceResult",
    "Training",
    "hessian_trace",
    "hierarchical_bootstrap",
    "interquartile_mean",
    "landscape",
    "log_ratio",
    "loss_landscape",
    "mean_interval",
    "model_loss",
    "parameters",
    "performance_profiles",
    "pga",
    "probability_of_improvement",
    "random_directions",
    "sharpness",
    "summarize",
    "top_eigenvalue",
    "tune_learning_rate",
    "verdict",
]
