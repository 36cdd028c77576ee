"""What the evolution strategies share: a pair of unrolls, and what they tell."""

import math
from typing import NamedTuple

import tensorflow as tf

from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.problem import Optimizee
from lrlearn.meta.seeds import fold
from lrlearn.meta.unroll import Record
from lrlearn.meta.unroll import unroll as run

_NOISE_STREAM = -1  # the batches' seeds are folded with the step, from 0
_LATTICE = 2**22
_RECORDS = {
    "loss": Record(lambda x, at, verdict: verdict.loss, ()),
    "meta_loss": Record(lambda x, at, verdict: verdict.meta_loss, ()),
}


class Pair(NamedTuple):
    """Two optimizees that differ by the perturbations of `theta` that they went along.

    Attributes:
        plus: The `Optimizee` along `theta + epsilon`.
        minus: The `Optimizee` along `theta - epsilon`.
        xi: Sum of the perturbations since their common start, a dict like `theta`.
    """

    plus: Optimizee
    minus: Optimizee
    xi: dict


class EvolutionStrategy(Estimator):
    """An estimator that compares pairs of unrolls, and differentiates nothing.

    So a teacher counts by its `penalty`, which is added to the loss (and is under the
    logarithm, too), and not by its field.

    Args:
        sigma: Standard deviation of the perturbations, positive.

    Raises:
        ValueError: If `sigma` is not positive.
    """

    def __init__(self, sigma=0.01):
        if not 0 < sigma < math.inf:
            raise ValueError(f"`sigma` must be positive. Received: {sigma=}")
        self.sigma = sigma

    def estimate_pair(self, problem, rule, theta, pair, seed, unroll):
        """Returns the `Estimate` of one more perturbation of a `Pair`."""
        epsilon = _normal(theta, self.sigma, seed)
        xi = {name: pair.xi[name] + epsilon[name] for name in theta}
        (plus, up), (minus, down) = (
            run(
                problem,
                rule,
                {name: theta[name] + sign * epsilon[name] for name in theta},
                start,
                seed,
                unroll,
                _RECORDS,
                teach=problem.judge,
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


def zeros(theta):
    """Returns a dict of float32 zeros like `theta`."""
    return {name: tf.zeros_like(value, tf.float32) for name, value in theta.items()}


def _normal(theta, sigma, seed):
    """Returns normal noise, a dict like `theta`."""
    seed = fold(seed, _NOISE_STREAM)
    return {
        name: sigma * _standard_normal(theta[name].shape, fold(seed, index))
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
