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
    the same each time; a loss that is not finite, or above 100, counts as 100.

    Args:
        problems: A list of `Problem`s, which share the initializations evenly.
        rule: An `UpdateRule`.
        initializations: Number of optimizees, over all problems.
        steps: Number of steps of each.
        seed: Integer seed.
    """

    def __init__(self, problems, rule, initializations, steps, seed):
        self._rule, self._steps, self._seed = rule, steps, seed
        self._evaluate = [tf.function(self._evaluation_of(p)) for p in problems]
        self._starts = [
            (index % len(problems), problems[index % len(problems)].start(rule, s))
            for index, s in enumerate(self._seeds(max(initializations, len(problems))))
        ]

    def __call__(self, theta):
        """Returns the score of `theta`, a dict of tensors; lower is better."""
        scores = []
        for index, (problem, optimizee) in enumerate(self._starts):
            seed = tf.constant([self._seed, -1 - index], tf.int32)
            loss = float(self._evaluate[problem](theta, optimizee, seed))
            loss = min(loss, _LARGEST_LOSS) if np.isfinite(loss) else _LARGEST_LOSS
            scores.append(np.log(max(loss, 1e-8)))
        return float(np.mean(scores))

    def _seeds(self, number):
        rng = np.random.default_rng([self._seed, _VALIDATION_STREAM])
        return [int(seed) for seed in rng.integers(2**31, size=number)]

    def _evaluation_of(self, problem):
        x, y = (tf.constant(array[:_MAX_EXAMPLES]) for array in problem.task.validation)

        def evaluate(theta, optimizee, seed):
            optimizee = roll(problem, self._rule, theta, optimizee, seed, self._steps)
            params = problem.unflatten(optimizee.w)
            return problem.task.evaluate_loss(
                params, optimizee.model_state, x, y, training=False
            )[0]

        return evaluate
