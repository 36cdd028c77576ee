"""Antithetic evolution strategies on truncated unrolls."""

from lrlearn.meta.estimators.evolution import EvolutionStrategy, Pair, zeros
from lrlearn.meta.unroll import roll


class ES(EvolutionStrategy):
    r"""Evolution strategies: the slope between two perturbed unrolls.

    With the meta-loss $L$ of an unroll that starts at the present optimizee,

    $$\hat g = \frac{\epsilon}{2\sigma^2}
      \left(L(\theta + \epsilon) - L(\theta - \epsilon)\right), \qquad
      \epsilon \sim \mathcal N(0, \sigma^2 I),$$

    on the same batches, is an unbiased estimate of the gradient of $L$ smoothed over
    $\epsilon$: with derivatives through the features, as `FullTape(True)`, but blind to
    what comes after the unroll. The optimizee runs on along $\theta$ itself. That makes
    three unrolls, none of which is stored.

    Args:
        sigma: Standard deviation $\sigma$ of the perturbations. Defaults to `0.01`.

    Raises:
        ValueError: If `sigma` is not positive.

    Reference:
        [Vicol et al., 2021](https://arxiv.org/abs/2112.13835), section 3.
    """

    name = "es"

    def estimate(self, problem, rule, theta, optimizee, seed, unroll):
        """See `Estimator`."""
        pair = Pair(optimizee, optimizee, zeros(theta))
        estimate = self.estimate_pair(problem, rule, theta, pair, seed, unroll)
        after = roll(problem, rule, theta, optimizee, seed, unroll)
        return estimate._replace(optimizee=after)
