"""The interface of meta-gradient estimators."""

from typing import NamedTuple

import tensorflow as tf

from lrlearn.meta.problem import Optimizee


class Estimate(NamedTuple):
    """What an estimator returns.

    Attributes:
        gradient: Meta-gradient, a dict like `theta`.
        optimizee: The `Optimizee` after the unroll.
        losses: Plain training losses along the unroll, `[unroll]`.
        meta_loss: Mean of the meta-loss along the unroll.
    """

    gradient: dict
    optimizee: Optimizee
    losses: tf.Tensor
    meta_loss: tf.Tensor


class Estimator:
    r"""Estimates the gradient of the meta-loss of one truncated unroll.

    The meta-loss of an unroll of $T$ steps is the sum over $t = 1, \dots, T$ of the
    problem's meta-loss at $w_t$. Subclasses implement `estimate`.
    """

    name = None

    def estimate(self, problem, rule, theta, optimizee, seed, unroll):
        """Returns the `Estimate` of one unroll; runs inside a `tf.function`.

        Args:
            problem: A `Problem`.
            rule: An `UpdateRule`.
            theta: The rule's weights, a dict of tensors.
            optimizee: The `Optimizee` to start from.
            seed: Integer tensor `[2]` that determines all randomness.
            unroll: Number of steps, a Python integer.
        """
        raise NotImplementedError

    def get_config(self):
        """Returns the constructor's arguments, as JSON types."""
        return {}
