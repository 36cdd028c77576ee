"""LearnedOptimizer, its presets and the callback that tells it the run's length."""

from lrlearn.optimizers import preset_names
from lrlearn.optimizers.learned_optimizer import LearnedOptimizer
from lrlearn.optimizers.run_length import RunLength

__all__ = ["LearnedOptimizer", "RunLength"]

preset_names.register()
