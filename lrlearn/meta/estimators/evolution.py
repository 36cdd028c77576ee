"""Evolution strategies: ES, PES and NRES."""

import math
from typing import NamedTuple

import tensorflow as tf

from lrlearn.checks import check_positive
from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.meta_objective import Optimizee
from lrlearn.meta.unroll import fold_in, unroll_together

_NOISE_STREAM = -1  # the batches' seeds fold in the step, from 0
_LATTICE = 2**22


class Pair(NamedTuple):
    """Two optimizees that differ by the perturbations of `theta` since their start.

    Attributes:
        plus: The `Optimizee` along `theta + epsilon`.
        minus: The `Optimizee` along `theta - epsilon`.
        xi: The perturbation that their losses are credited to, a dict like `theta`; 0
            at their common start.
    """

    plus: Optimizee
    minus: Optimizee
    xi: dict


class _EvolutionStrategy(Estimator):
    """Compares pairs of unrolls, and differentiates nothing.

    So it uses the teacher's penalty, not its field. The penalty is added to the loss
    before the logarithm is taken. Subclasses implement `perturb`.
    """

    needs = "penalty"
    together = True

    def __init__(self, sigma=0.01, limit=None):
        self.sigma = check_positive("sigma", sigma)
        self.limit = None if limit is None else check_positive("limit", limit)

    def estimate(self, objective, theta, optimizee, seed, steps):
        """See `Estimator`."""
        stacked = tf.nest.map_structure(lambda x: x[None], optimizee)
        estimate = self.estimate_together(objective, theta, stacked, seed[None], steps)
        return tf.nest.map_structure(lambda x: x[0], estimate)

    def perturb(self, xi, epsilon):
        """Returns the perturbations of an unroll, and those that it is credited to.

        Args:
            xi: Those of the unrolls before, a dict of tensors `[K, ...]`.
            epsilon: New ones, a dict like it.
        """
        raise NotImplementedError

    def estimate_pairs(self, objective, theta, pairs, seeds, steps):
        """Returns the `Estimate`s of one more unroll of each `Pair`, stacked."""
        epsilon = _normal(theta, self.sigma, seeds)
        epsilon, xi = self.perturb(pairs.xi, epsilon)
        thetas = {
            name: tf.concat([theta[name] + e, theta[name] - e], axis=0)
            for name, e in epsilon.items()
        }
        starts = tf.nest.map_structure(_concat, pairs.plus, pairs.minus)
        ends, *losses = unroll_together(objective, thetas, starts, seeds, steps)
        plus, minus = _halves(ends)
        (up, down), (meta_up, meta_down) = map(_halves, losses)
        # Step by step: differences of near floats are exact, those of sums are not.
        difference = tf.reduce_sum(meta_up - meta_down, axis=1)
        if self.limit is not None:
            most = 2.0 * self.limit * steps
            difference = tf.clip_by_value(difference, -most, most)
        slope = difference / (2.0 * self.sigma**2)
        return Estimate(
            {name: _scale(value, slope) for name, value in xi.items()},
            Pair(plus, minus, xi),
            (up + down) / 2.0,
            tf.reduce_mean(meta_up + meta_down, axis=1) / 2.0,
        )

    def get_config(self):
        """See `Estimator`."""
        return {"sigma": self.sigma, "limit": self.limit}


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
        limit: Most by which the mean meta-loss of a perturbed unroll counts as above or
            below that of the pair, so that one that diverges does not outweigh all
            others; or `None` for no limit. Defaults to `None`.

    Raises:
        ValueError: If `sigma` or `limit` is not positive.

    Reference:
        [Vicol et al., 2021](https://arxiv.org/abs/2112.13835), section 3.
    """

    name = "es"

    def perturb(self, xi, epsilon):
        """See `_EvolutionStrategy`."""
        return epsilon, epsilon

    def estimate_together(self, objective, theta, optimizees, seeds, steps):
        """See `Estimator`."""
        count = seeds.shape[0]
        pairs = Pair(optimizees, optimizees, _zeros(theta, count))
        estimate = self.estimate_pairs(objective, theta, pairs, seeds, steps)
        thetas = {name: tf.stack([value] * count) for name, value in theta.items()}
        after, *_ = unroll_together(objective, thetas, optimizees, seeds, steps)
        return estimate._replace(optimizee=after)


class _Persistent(_EvolutionStrategy):
    """Pairs run on from unroll to unroll."""

    def start(self, objective, start):
        """See `Estimator`."""
        optimizee = objective.start(start)
        return Pair(optimizee, optimizee, _zeros(objective.rule.init_theta()))

    def current(self, kept):
        """See `Estimator`."""
        return kept.plus

    def estimate_together(self, objective, theta, optimizees, seeds, steps):
        """See `Estimator`."""
        return self.estimate_pairs(objective, theta, optimizees, seeds, steps)


class PES(_Persistent):
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
        limit: Most by which the mean meta-loss of a perturbed unroll counts as above or
            below that of the pair, so that one that diverges does not outweigh all
            others; or `None` for no limit. Defaults to `None`.

    Raises:
        ValueError: If `sigma` or `limit` is not positive.

    Reference:
        [Vicol et al., 2021](https://arxiv.org/abs/2112.13835), section 4.
    """

    name = "pes"

    def perturb(self, xi, epsilon):
        """See `_EvolutionStrategy`."""
        return epsilon, {name: xi[name] + epsilon[name] for name in xi}


class NRES(_Persistent):
    r"""Noise-reuse evolution strategies: as `PES`, with one perturbation a run.

    A pair of optimizees runs on from unroll to unroll, along $\theta + \epsilon$ and
    $\theta - \epsilon$ on the same batches, with

    $$\hat g_t = \frac{\epsilon}{2\sigma^2} \left(L_t^+ - L_t^-\right), \qquad
      \epsilon \sim \mathcal N(0, \sigma^2 I),$$

    $\epsilon$ being drawn at the start of the pair. The sum over a run is unbiased, as
    that of `PES`. It varies less if the gradients of unrolls do not all point the same
    way, and about as much if they do: no perturbation adds noise to the losses of
    others.

    Args:
        sigma: Standard deviation $\sigma$ of the perturbations. Defaults to `0.01`.
        limit: See `PES`. Defaults to `None`.

    Raises:
        ValueError: If `sigma` or `limit` is not positive.

    Reference:
        [Li et al., 2023](https://arxiv.org/abs/2304.12180), section 3.
    """

    name = "nres"

    def perturb(self, xi, epsilon):
        """See `_EvolutionStrategy`."""
        flat = [tf.reshape(value, [value.shape[0], -1]) for value in xi.values()]
        starts = tf.reduce_all(tf.concat(flat, axis=1) == 0.0, axis=1)
        first = tf.cast(starts, tf.float32)
        epsilon = {name: xi[name] + _scale(epsilon[name], first) for name in xi}
        return epsilon, epsilon


def _concat(*tensors):
    return tf.concat(tensors, axis=0)


def _halves(structure):
    """Returns two structures: what is before the middle of each tensor, and after."""
    halves = [tf.split(tensor, 2) for tensor in tf.nest.flatten(structure)]
    return [tf.nest.pack_sequence_as(structure, h) for h in zip(*halves, strict=True)]


def _scale(values, factors):
    """Returns tensors `[K, ...]` multiplied by `[K]`."""
    return values * tf.reshape(factors, [-1] + [1] * (values.shape.rank - 1))


def _zeros(theta, *shape):
    """Returns a dict of float32 zeros like `theta`, of more axes in front."""
    return {name: tf.zeros([*shape, *value.shape]) for name, value in theta.items()}


def _normal(theta, sigma, seeds):
    """Returns normal noise for each of K seeds, a dict like `theta` of `[K, ...]`."""
    names = sorted(theta)
    sizes = [math.prod(theta[name].shape) for name in names]
    noise = sigma * tf.map_fn(
        lambda seed: _standard_normal([sum(sizes)], fold_in(seed, _NOISE_STREAM)),
        seeds,
        fn_output_signature=tf.float32,
    )
    return {
        name: tf.reshape(part, [-1, *theta[name].shape])
        for name, part in zip(names, tf.split(noise, sizes, axis=1), strict=True)
    }


def _standard_normal(shape, seed):
    # From integers: XLA draws other floats from the same seed. Halves are exact in
    # float32, symmetric around 0, and their quotient stays within (-1, 1).
    integers = tf.random.stateless_uniform(
        shape, seed, -_LATTICE, _LATTICE, tf.int32, alg="philox"
    )
    uniform = (tf.cast(integers, tf.float32) + 0.5) / _LATTICE
    return math.sqrt(2.0) * tf.math.erfinv(uniform)
