"""Meta-validation: how well a rule trains from initializations it has not seen."""

import numpy as np
import tensorflow as tf

from lrlearn.meta.unroll import roll

_VALIDATION_STREAM = 1
_LARGEST_LOSS = 100.0
_MAX_EXAMPLES = 2000


class MetaValidation:
    """Scores `theta` by the validation loss of optimizees trained with it.

    The score is the mean of log validation loss over the initializations, which are
    the same each time, on the first 2000 validation examples; a loss that is not
    finite, or above 100, counts as 100.

    Args:
        problems: A list of `Problem`s, which share the initializations evenly.
        rule: An `UpdateRule`.
        settings: The `MetaSettings`.
    """

    def __init__(self, problems, rule, settings):
        self._rule, self._settings = rule, settings
        self._evaluate = [
            tf.function(self._evaluation_of(p), autograph=False) for p in problems
        ]
        number = max(settings.validation_initializations, len(problems))
        self._starts = [
            (index % len(problems), problems[index % len(problems)].start(rule, seed))
            for index, seed in enumerate(self._seeds(number))
        ]

    def __call__(self, theta):
        """Returns the score of `theta`, a dict of tensors; lower is better."""
        scores = []
        for index, (problem, optimizee) in enumerate(self._starts):
            seed = tf.constant([self._settings.seed, -1 - index], tf.int32)
            loss = float(self._evaluate[problem](theta, optimizee, seed))
            loss = min(loss, _LARGEST_LOSS) if np.isfinite(loss) else _LARGEST_LOSS
            scores.append(np.log(max(loss, 1e-8)))
        return float(np.mean(scores))

    def _seeds(self, number):
        rng = np.random.default_rng([self._settings.seed, _VALIDATION_STREAM])
        return [int(seed) for seed in rng.integers(2**31, size=number)]

    def _evaluation_of(self, problem):
        x, y = (tf.constant(array[:_MAX_EXAMPLES]) for array in problem.task.validation)

        def evaluate(theta, optimizee, seed):
            steps = self._settings.validation_steps
            optimizee = roll(problem, self._rule, theta, optimizee, seed, steps)
            params = problem.unflatten(optimizee.w)
            return problem.task.evaluate_loss(
                params, optimizee.model_state, x, y, training=False
            )[0]

        return evaluate
