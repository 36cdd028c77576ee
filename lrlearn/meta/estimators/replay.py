"""Roll the optimizee without a tape, then replay the rule alone under one."""

import tensorflow as tf

from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.unroll import unroll as run


class Replay(Estimator):
    r"""Differentiates the rule's own recurrence, and nothing else.

    With features held constant $w_t = w_0 + \sum_{s<t} d_s(\theta)$, so with
    $R_s = \sum_{t>s} v_t$ the meta-gradient is that of

    $$\sum_s \langle \mathrm{stop}(R_s), d_s(\theta)\rangle.$$

    The *roll* runs the optimizee forward and records the rule's inputs $x_s$ and the
    teacher's fields $v_t$; the *replay* runs the rule on them under a tape. This equals
    `FullTape`. It runs the rule forward twice, but may replay a part of the
    coordinates, which takes a fraction of the time and memory.

    Args:
        coordinates: Number of coordinates to replay, drawn anew in each meta-step
            (the estimate stays unbiased), or `None` for all. Defaults to `None`.
    """

    name = "replay"

    def __init__(self, coordinates=None):
        if coordinates is not None and coordinates < 1:
            raise ValueError(
                f"`coordinates` must be positive or None. Received: {coordinates=}"
            )
        self.coordinates = coordinates

    def estimate(self, problem, rule, theta, optimizee, seed, unroll):
        """See `Estimator`."""
        take, kept = self._sample(problem.num_params, seed)
        memory = {name: take(value) for name, value in optimizee.memory.items()}
        num_features = rule.num_features
        emit = {
            "x": (lambda x, w, at: take(x), (num_features, kept)),
            "v": (lambda x, w, at: take(at.v), (kept,)),
            "loss": (lambda x, w, at: at.loss, ()),
            "meta_loss": (lambda x, w, at: at.meta_loss, ()),
        }
        optimizee, emitted = run(problem, rule, theta, optimizee, seed, unroll, emit)
        R = tf.cumsum(emitted["v"], axis=0, reverse=True)
        R *= problem.num_params / kept
        return Estimate(
            _replay(rule, theta, memory, emitted["x"], R),
            optimizee,
            emitted["loss"],
            tf.reduce_mean(emitted["meta_loss"]),
        )

    def _sample(self, n, seed):
        """Returns a function that keeps some of `n` coordinates, and their number."""
        if self.coordinates is None or self.coordinates >= n:
            return tf.identity, n
        # Integers: XLA draws other floats from the same seed.
        keys = tf.random.stateless_uniform(
            [n], seed, None, None, tf.int32, alg="philox"
        )
        chosen = tf.math.top_k(keys, self.coordinates, sorted=False).indices
        return lambda t: tf.gather(t, chosen, axis=-1), self.coordinates

    def get_config(self):
        """See `Estimator`."""
        return {"coordinates": self.coordinates}


def _replay(rule, theta, memory, x, R):
    steps = x.shape[0]

    def body(s, memory, total):
        d, memory = rule.direction(theta, x[s], memory)
        return s + 1, memory, total + tf.reduce_sum(R[s] * d)

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(theta)
        _, _, total = tf.while_loop(
            lambda s, *_: s < steps,
            body,
            (tf.zeros((), tf.int32), memory, tf.zeros(())),
            maximum_iterations=steps,
        )
    return tape.gradient(total, theta)
