"""The interface of meta-gradient estimators."""

from typing import NamedTuple

import tensorflow as tf

from lrlearn.configurable import Configurable


class Estimate(NamedTuple):
    """What an estimator returns.

    Attributes:
        gradient: Meta-gradient, a dict like `theta`.
        optimizee: What `estimate` was given, after the unroll.
        losses: Plain training losses along the unroll, `[steps]`.
        meta_loss: Mean of the meta-loss along the unroll.
    """

    gradient: dict
    optimizee: tuple
    losses: tf.Tensor
    meta_loss: tf.Tensor


class Estimator(Configurable):
    r"""Estimates the gradient of the meta-loss of one truncated unroll.

    The meta-loss of an unroll of $T$ steps is the sum over $t = 1, \dots, T$ of the
    objective's meta-loss at $w_t$. Subclasses implement `estimate`; those that keep
    more from unroll to unroll than an `Optimizee` also `start`.

    Attributes:
        name: The estimator's name.
        needs: The method of a regularizer that it needs, `"field"` or `"penalty"`.
            Defaults to `"field"`.
        together: Whether it estimates several optimizees at once. Defaults to `False`.
    """

    name = None
    needs = "field"
    together = False

    def start(self, objective, start):
        """Returns what the first unroll starts from: an `Optimizee` by default.

        Args:
            objective: A `MetaObjective`.
            start: A `Start`.
        """
        return objective.start(start)

    def estimate(self, objective, theta, optimizee, seed, steps):
        """Returns the `Estimate` of one unroll; runs inside a `tf.function`.

        Args:
            objective: A `MetaObjective`.
            theta: The rule's weights, a dict of tensors.
            optimizee: What `start` or the last estimate returned.
            seed: Integer tensor `[2]` that determines all randomness.
            steps: Number of steps, a Python integer.
        """
        raise NotImplementedError

    def estimate_together(self, objective, theta, optimizees, seeds, steps):
        """Returns the `Estimate`s of several unrolls on one task, stacked.

        An estimator with `together` is given all at once, others one at a time.

        Args:
            objective: A `MetaObjective`.
            theta: The rule's weights, a dict of tensors.
            optimizees: What `start` or the last estimates returned, stacked, `[K, ...]`
                each.
            seeds: Integer tensor `[K, 2]`.
            steps: Number of steps, a Python integer.
        """
        optimizee = tf.nest.map_structure(lambda x: x[0], optimizees)
        estimate = self.estimate(objective, theta, optimizee, seeds[0], steps)
        return tf.nest.map_structure(lambda x: x[None], estimate)

    def current(self, kept):
        """Returns the `Optimizee` of what the estimator keeps, or one of a pair."""
        return kept

    def check_rule(self, rule):
        """Raises a `ValueError` if a rule is none that the estimator can work with."""

    def get_config(self):
        """Returns the constructor's arguments, as JSON types."""
        return {}
