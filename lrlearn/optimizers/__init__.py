"""LearnedOptimizer and its presets."""

from lrlearn.optimizers.learned_optimizer import LearnedOptimizer

__all__ = ["LearnedOptimizer"]
