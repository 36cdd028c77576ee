"""Meta-validation: how well a rule trains from initializations it has not seen."""

import numpy as np
import tensorflow as tf

from lrlearn.meta.unroll import run

_VALIDATION_STREAM = 1
_LARGEST_LOSS = 100.0
_MAX_EXAMPLES = 2000


class MetaValidation:
    """Scores `theta` by the validation loss of optimizees trained with it.

    The score is the mean of log validation loss over the initializations, which are
    the same each time, on the first 2000 validation examples; a loss that is not
    finite, or above 100, counts as 100.

    Args:
        problem: A `MetaProblem`, whose tasks share the initializations evenly.
    """

    def __init__(self, problem):
        self._settings = problem.settings
        objectives = problem.objectives
        self._evaluate = [
            tf.function(self._evaluation_of(each), autograph=False)
            for each in objectives
        ]
        number = max(self._settings.validation_optimizees, len(objectives))
        rng = np.random.default_rng([self._settings.seed, _VALIDATION_STREAM])
        seeds = [int(seed) for seed in rng.integers(2**31, size=number)]
        tasks = [index % len(objectives) for index in range(number)]
        self._starts = [
            (task, objectives[task].start(seed))
            for task, seed in zip(tasks, seeds, strict=True)
        ]

    def __call__(self, theta):
        """Returns the score of `theta`, a dict of tensors; lower is better."""
        scores = []
        for index, (task, optimizee) in enumerate(self._starts):
            seed = tf.constant([self._settings.seed, -1 - index], tf.int32)
            loss = float(self._evaluate[task](theta, optimizee, seed))
            loss = min(loss, _LARGEST_LOSS) if np.isfinite(loss) else _LARGEST_LOSS
            scores.append(np.log(max(loss, 1e-8)))
        return float(np.mean(scores))

    def _evaluation_of(self, objective):
        task, steps = objective.task, self._settings.validation_steps
        x, y = (tf.constant(array[:_MAX_EXAMPLES]) for array in task.validation)

        def evaluate(theta, optimizee, seed):
            optimizee = run(objective, theta, optimizee, seed, steps)
            params = objective.unflatten(optimizee.w)
            return task.evaluate_loss(params, optimizee.model_state, x, y)[0]

        return evaluate
