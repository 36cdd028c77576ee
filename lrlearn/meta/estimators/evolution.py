"""Evolution strategies: ES and PES."""

import math
from typing import NamedTuple

import tensorflow as tf

from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.meta_objective import Optimizee
from lrlearn.meta.unroll import fold_in, run, unroll

_NOISE_STREAM = -1  # the batches' seeds fold in the step, from 0
_LATTICE = 2**22


class Pair(NamedTuple):
    """Two optimizees that differ by the perturbations of `theta` since their start.

    Attributes:
        plus: The `Optimizee` along `theta + epsilon`.
        minus: The `Optimizee` along `theta - epsilon`.
        xi: Sum of the perturbations since their common start, a dict like `theta`.
    """

    plus: Optimizee
    minus: Optimizee
    xi: dict


class _EvolutionStrategy(Estimator):
    """Compares pairs of unrolls, and differentiates nothing.

    So it uses the teacher's penalty, not its field. The penalty is added to the loss
    before the logarithm is taken.
    """

    needs = "penalty"

    def __init__(self, sigma=0.01):
        if not 0 < sigma < math.inf:
            raise ValueError(f"`sigma` must be positive. Received: {sigma=}")
        self.sigma = sigma

    def estimate_pair(self, objective, theta, pair, seed, steps):
        """Returns the `Estimate` of one more perturbation of a `Pair`."""
        epsilon = _normal(theta, self.sigma, seed)
        xi = {name: pair.xi[name] + epsilon[name] for name in theta}
        (plus, up), (minus, down) = (
            unroll(
                objective,
                {name: theta[name] + sign * epsilon[name] for name in theta},
                start,
                seed,
                steps,
                objective.evaluate_penalty,
            )
            for sign, start in ((1.0, pair.plus), (-1.0, pair.minus))
        )
        # Step by step: differences of near floats are exact, those of sums are not.
        difference = tf.reduce_sum(up["meta_loss"] - down["meta_loss"])
        slope = difference / (2.0 * self.sigma**2)
        return Estimate(
            {name: slope * value for name, value in xi.items()},
            Pair(plus, minus, xi),
            (up["loss"] + down["loss"]) / 2.0,
            tf.reduce_mean(up["meta_loss"] + down["meta_loss"]) / 2.0,
        )

    def get_config(self):
        """See `Estimator`."""
        return {"sigma": self.sigma}


class ES(_EvolutionStrategy):
    r"""Evolution strategies: the slope between two perturbed unrolls.

    With the meta-loss $L$ of an unroll that starts at the present optimizee,

    $$\hat g = \frac{\epsilon}{2\sigma^2}
      \left(L(\theta + \epsilon) - L(\theta - \epsilon)\right), \qquad
      \epsilon \sim \mathcal N(0, \sigma^2 I),$$

    on the same batches, is an unbiased estimate of the gradient of $L$ smoothed over
    $\epsilon$: with derivatives through the features, as `FullTape(True)`, but blind to
    what comes after the unroll. It uses the teacher's penalty, not its field. The
    optimizee runs on along $\theta$ itself. That makes three unrolls; none is stored.

    Args:
        sigma: Standard deviation $\sigma$ of the perturbations. Defaults to `0.01`.

    Raises:
        ValueError: If `sigma` is not positive.

    Reference:
        [Vicol et al., 2021](https://arxiv.org/abs/2112.13835), section 3.
    """

    name = "es"

    def estimate(self, objective, theta, optimizee, seed, steps):
        """See `Estimator`."""
        pair = Pair(optimizee, optimizee, _zeros(theta))
        estimate = self.estimate_pair(objective, theta, pair, seed, steps)
        after = run(objective, theta, optimizee, seed, steps)
        return estimate._replace(optimizee=after)


class PES(_EvolutionStrategy):
    r"""Persistent evolution strategies: not biased by truncation.

    A pair of optimizees runs on from unroll to unroll, along $\theta + \epsilon_t$ and
    $\theta - \epsilon_t$ on the same batches. The meta-losses $L_t^\pm$ of unroll $t$
    are credited to all perturbations since the start of the pair,

    $$\xi_t = \xi_{t-1} + \epsilon_t, \qquad
      \hat g_t = \frac{\xi_t}{2\sigma^2} \left(L_t^+ - L_t^-\right), \qquad
      \epsilon_t \sim \mathcal N(0, \sigma^2 I),$$

    so that $\sum_t \hat g_t$ estimates the gradient of the smoothed meta-loss of the
    whole run, without bias. `ES`, `Replay` and `FullTape` see no further than an
    unroll. Its variance grows with the number of unrolls instead. It uses the teacher's
    penalty, not its field. The state is the pair and $\xi$, however long an unroll is.

    Args:
        sigma: Standard deviation $\sigma$ of the perturbations. Defaults to `0.01`.

    Raises:
        ValueError: If `sigma` is not positive.

    Reference:
        [Vicol et al., 2021](https://arxiv.org/abs/2112.13835), section 4.
    """

    name = "pes"

    def start(self, objective, seed, scale=1.0):
        """See `Estimator`."""
        optimizee = objective.start(seed, scale)
        return Pair(optimizee, optimizee, _zeros(objective.rule.init_theta()))

    def estimate(self, objective, theta, optimizee, seed, steps):
        """See `Estimator`."""
        return self.estimate_pair(objective, theta, optimizee, seed, steps)


def _zeros(theta):
    """Returns a dict of float32 zeros like `theta`."""
    return {name: tf.zeros_like(value, tf.float32) for name, value in theta.items()}


def _normal(theta, sigma, seed):
    """Returns normal noise, a dict like `theta`."""
    seed = fold_in(seed, _NOISE_STREAM)
    return {
        name: sigma * _standard_normal(theta[name].shape, fold_in(seed, index))
        for index, name in enumerate(sorted(theta))
    }


def _standard_normal(shape, seed):
    # From integers: XLA draws other floats from the same seed. Halves are exact in
    # float32, symmetric around 0, and their quotient stays within (-1, 1).
    integers = tf.random.stateless_uniform(
        shape, seed, -_LATTICE, _LATTICE, tf.int32, alg="philox"
    )
    uniform = (tf.cast(integers, tf.float32) + 0.5) / _LATTICE
    return math.sqrt(2.0) * tf.math.erfinv(uniform)
