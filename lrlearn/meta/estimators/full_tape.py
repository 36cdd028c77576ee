"""Truncated backpropagation through the whole unroll."""

import tensorflow as tf

from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.unroll import Record, unroll


class FullTape(Estimator):
    r"""Backpropagates through the whole unroll, on one tape: the reference.

    The meta-loss at $w_t$ enters as $\langle \mathrm{stop}(v_t), w_t\rangle$, whose
    gradient in $w_t$ is the teacher's field $v_t$, whether or not that field is the
    gradient of any function.

    Args:
        through_features: Whether derivatives also flow through the rule's features,
            that is through the optimizee's gradients (second derivatives). Defaults to
            `False`.
    """

    name = "full_tape"

    def __init__(self, through_features=False):
        self.through_features = through_features

    def estimate(self, objective, theta, optimizee, seed, steps):
        """See `Estimator`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(theta)
            optimizee, recorded = unroll(
                objective,
                theta,
                optimizee,
                seed,
                steps,
                {"product": Record(_product, ())},
                self.through_features,
            )
            total = tf.reduce_sum(recorded["product"])
        return Estimate(
            tape.gradient(total, theta),
            optimizee,
            recorded["loss"],
            tf.reduce_mean(recorded["meta_loss"]),
        )

    def get_config(self):
        """See `Estimator`."""
        return {"through_features": self.through_features}


def _product(optimizee, evaluation):
    return tf.reduce_sum(tf.stop_gradient(evaluation.v) * optimizee.w)
