"""Persistent evolution strategies."""

from lrlearn.meta.estimators.evolution import EvolutionStrategy, Pair, zeros


class PES(EvolutionStrategy):
    r"""Persistent evolution strategies: not biased by truncation.

    A pair of optimizees runs on from unroll to unroll, along $\theta + \epsilon_t$ and
    $\theta - \epsilon_t$ on the same batches. The meta-losses $L_t^\pm$ of unroll $t$
    are credited to all perturbations since the start of the pair,

    $$\xi_t = \xi_{t-1} + \epsilon_t, \qquad
      \hat g_t = \frac{\xi_t}{2\sigma^2} \left(L_t^+ - L_t^-\right), \qquad
      \epsilon_t \sim \mathcal N(0, \sigma^2 I),$$

    so that $\sum_t \hat g_t$ estimates the gradient of the smoothed meta-loss of the
    whole run, without bias, where `ES`, `Replay` and `FullTape` see no further than an
    unroll. Its variance grows with the number of unrolls instead. The state is the pair
    and $\xi$, whatever the length of an unroll.

    Args:
        sigma: Standard deviation $\sigma$ of the perturbations. Defaults to `0.01`.

    Raises:
        ValueError: If `sigma` is not positive.

    Reference:
        [Vicol et al., 2021](https://arxiv.org/abs/2112.13835), section 4.
    """

    name = "pes"

    def start(self, problem, rule, seed, scale=1.0):
        """See `Estimator`."""
        optimizee = problem.start(rule, seed, scale)
        return Pair(optimizee, optimizee, zeros(rule.init_theta()))

    def structure(self, problem, rule):
        """See `Estimator`."""
        optimizee = problem.structure(rule)
        return Pair(optimizee, optimizee, rule.init_theta())

    def estimate(self, problem, rule, theta, optimizee, seed, unroll):
        """See `Estimator`."""
        return self.estimate_pair(problem, rule, theta, optimizee, seed, unroll)
