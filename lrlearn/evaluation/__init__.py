"""How well, and how flat: training runs, sharpness and statistics."""

from lrlearn.evaluation.training import Training

__all__ = ["Training"]
