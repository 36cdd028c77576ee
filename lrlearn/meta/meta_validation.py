"""Meta-validation: how well a rule trains from initializations it has not seen."""

import numpy as np
import tensorflow as tf

from lrlearn.meta.meta_objective import Start
from lrlearn.meta.optimizee_pool import draw_rho
from lrlearn.meta.unroll import run

_VALIDATION_STREAM = 1
_MAX_EXAMPLES = 2000


class MetaValidation:
    """Scores `theta` by the loss of optimizees trained with it, at the end of a run.

    The score is the mean of log(loss + `loss_offset`) over the initializations, which
    are the same each time, on the first 2000 examples of the setting `score_split`; a
    loss that is not finite, or above `loss_limit`, counts as that. For a rule with a
    dial, the loss includes the teacher's penalty at the setting of the optimizee.

    Args:
        problem: A `MetaProblem`, whose tasks share the initializations evenly.
        jit_compile: Whether to compile with XLA. Defaults to `False`: compiling takes
            longer than some validations.
    """

    def __init__(self, problem, jit_compile=False):
        self._settings = problem.settings
        objectives = problem.objectives
        self._evaluate = [
            tf.function(
                self._evaluation_of(each),
                autograph=False,
                jit_compile=jit_compile,
            )
            for each in objectives
        ]
        number = max(self._settings.validation_optimizees, len(objectives))
        rng = np.random.default_rng([self._settings.seed, _VALIDATION_STREAM])
        seeds = rng.integers(2**31, size=number)
        self._starts = []
        for index, seed in enumerate(seeds):
            task = index % len(objectives)
            rho = draw_rho(rng, self._settings.dial)
            start = Start(int(seed), self._settings.validation_steps, rho=rho)
            self._starts.append((task, objectives[task].start(start)))

    def __call__(self, theta):
        """Returns the score of `theta`, a dict of tensors; lower is better."""
        scores = []
        for index, (task, optimizee) in enumerate(self._starts):
            seed = tf.constant([self._settings.seed, -1 - index], tf.int32)
            # Concrete, or TensorFlow warns that so many tasks have graphs.
            evaluate = self._evaluate[task].get_concrete_function(
                theta, optimizee, seed
            )
            loss = float(evaluate(theta, optimizee, seed))
            limit = self._settings.loss_limit
            loss = min(loss, limit) if np.isfinite(loss) else limit
            scores.append(np.log(loss + self._settings.loss_offset))
        return float(np.mean(scores))

    def _evaluation_of(self, objective):
        steps = self._settings.validation_steps
        data = getattr(objective.task, self._settings.score_split)
        x, y = (tf.constant(a[:_MAX_EXAMPLES]) for a in data)

        def evaluate(theta, optimizee, seed):
            return objective.score(run(objective, theta, optimizee, seed, steps), x, y)

        return evaluate
