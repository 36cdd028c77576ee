"""Roll the optimizee without a tape, then replay the rule alone under one."""

import tensorflow as tf

from lrlearn.checks import check_count
from lrlearn.meta.estimators.estimator import Estimate, Estimator
from lrlearn.meta.estimators.full_tape import FullTape
from lrlearn.meta.unroll import Record, unroll
from lrlearn.rules import CoordinatewiseRule
from lrlearn.rules.update_rule import aligned

# Coordinates times steps on one tape: about 0.5 GB for an LSTM of 2x20 units.
_TAPE_SIZE = 320_000


class Replay(Estimator):
    r"""Differentiates the rule's own recurrence, and nothing else.

    With features held constant $w_t = w_0 + \sum_{s<t} d_s(\theta)$, so with
    $R_s = \sum_{t>s} v_t$ the meta-gradient is that of

    $$\sum_s \langle \mathrm{stop}(R_s), d_s(\theta)\rangle.$$

    The *roll* runs the optimizee forward and records the rule's features $x_s$, the
    teacher's fields $v_t$ and, at the start of every segment of the unroll, the rule's
    memory; the *replay* runs the rule on them under a tape, segment by segment from the
    last to the first. So memory hardly grows with the unroll, and a part of the
    coordinates takes a fraction of the time. This equals `FullTape`, which takes its
    place if everything fits on one tape: it runs the rule forward only once.

    If the model has constraints, $w_t$ is no such sum: a weight that is held at 0 stays
    there whatever $d_s$ is. `FullTape`, whose tape holds the projections, then takes
    its place, too, with all coordinates and in one segment.

    Args:
        coordinates: Number of coordinates to replay, rounded up to a multiple of 16
            and drawn anew in each meta-step (the estimate stays unbiased), or `None`
            for all. Defaults to `None`.
        segment: Number of steps on one tape, or `None` for as many as take about 0.5 GB
            with an LSTM of 2x20 units. Defaults to `None`.
    """

    name = "replay"

    def __init__(self, coordinates=None, segment=None):
        counts = {"coordinates": coordinates, "segment": segment}
        self.coordinates, self.segment = (
            None if count is None else check_count(name, count)
            for name, count in counts.items()
        )

    def estimate(self, objective, theta, optimizee, seed, steps):
        """See `Estimator`."""
        n = objective.flat.size
        kept = min(aligned(self.coordinates or n), n)
        segment = min(self.segment or max(1, _TAPE_SIZE // kept), steps)
        if (kept == n and segment == steps) or objective.flat.is_constrained:
            return FullTape().estimate(objective, theta, optimizee, seed, steps)
        take = tf.identity if kept == n else _sampler(n, kept, seed)
        memory = tf.nest.map_structure(take, optimizee.rule_state["memory"])
        x_shape = objective.rule.num_features, kept
        optimizee, recorded = unroll(
            objective,
            theta,
            optimizee,
            seed,
            steps,
            _records(take, x_shape, memory if segment < steps else {}, segment),
            return_features=True,
        )
        R = tf.cumsum(recorded["v"], axis=0, reverse=True) * (n / kept)
        starts = {name: value[None] for name, value in memory.items()}
        if segment < steps:
            starts = {
                name: tf.concat([value, recorded[f"memory/{name}"][:-1]], axis=0)
                for name, value in starts.items()
            }
        return Estimate(
            _replay(objective.rule, theta, starts, recorded["x"], R, segment),
            optimizee,
            recorded["loss"],
            tf.reduce_mean(recorded["meta_loss"]),
        )

    def check_rule(self, rule):
        """See `Estimator`."""
        if not isinstance(rule, CoordinatewiseRule):
            raise ValueError(
                "The estimator 'replay' needs a CoordinatewiseRule; take 'pes' or "
                f"'full_tape'. Received: {rule=}"
            )

    def get_config(self):
        """See `Estimator`."""
        return {"coordinates": self.coordinates, "segment": self.segment}


def _sampler(n, kept, seed):
    """Returns a function that keeps some of `n` coordinates, drawn at random."""
    # Integers: XLA draws other floats from the same seed.
    keys = tf.random.stateless_uniform([n], seed, None, None, tf.int32, alg="philox")
    chosen = tf.math.top_k(keys, kept, sorted=False).indices
    return lambda t: tf.gather(t, chosen, axis=-1)


def _records(take, x_shape, memory, segment):
    """Returns the records of features, fields, and memory at the end of segments."""

    def memory_record(name):
        return Record(
            lambda optimizee, evaluation, x: take(optimizee.rule_state["memory"][name]),
            memory[name].shape,
            segment,
        )

    return {
        "x": Record(lambda optimizee, evaluation, x: take(x), x_shape),
        "v": Record(lambda optimizee, evaluation, x: take(evaluation.v), x_shape[1:]),
        **{f"memory/{name}": memory_record(name) for name in memory},
    }


def _replay(rule, theta, starts, x, R, segment):
    """Returns the gradient in theta, segment by segment from the last to the first.

    Args:
        rule: An `UpdateRule`.
        theta: Its weights, a dict of tensors.
        starts: Its memory at the start of each segment, `[segments, units, n]`.
        x: Its features `[steps, features, n]`.
        R: Weights `[steps, n]`.
        segment: Steps of a segment.
    """
    segments = -(-x.shape[0] // segment)
    # Steps of weight zero fill the last segment, so that all have the same length.
    fill = segments * segment - x.shape[0]
    if fill:  # otherwise padding would copy all that is recorded
        x, R = tf.pad(x, [[0, fill], [0, 0], [0, 0]]), tf.pad(R, [[0, fill], [0, 0]])
    x = tf.reshape(x, [segments, segment, *x.shape[1:]])
    R = tf.reshape(R, [segments, segment, *R.shape[1:]])

    def body(k, total, later):
        last = segments - 1 - k
        memory = {name: value[last] for name, value in starts.items()}
        gradient, later = _replay_segment(rule, theta, memory, x[last], R[last], later)
        return k + 1, tf.nest.map_structure(tf.add, total, gradient), later

    zero = tf.nest.map_structure(tf.zeros_like, theta)
    none = {name: tf.zeros_like(value[0]) for name, value in starts.items()}
    return tf.while_loop(
        lambda k, *_: k < segments,
        body,
        (tf.zeros((), tf.int32), zero, none),
        parallel_iterations=1,  # or the tapes of ten segments exist at a time
        maximum_iterations=segments,
    )[1]


def _replay_segment(rule, theta, memory, x, R, later):
    """Returns gradients in theta and in the memory at the segment's start.

    `later` is the gradient, of all that follows, in the memory at its end.
    """
    steps = x.shape[0]

    def body(s, memory, total):
        d, memory = rule.direction(theta, x[s], memory)
        return s + 1, memory, total + tf.reduce_sum(R[s] * d)

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch((theta, memory))
        _, memory_after, total = tf.while_loop(
            lambda s, *_: s < steps,
            body,
            (tf.zeros((), tf.int32), memory, tf.zeros(())),
            maximum_iterations=steps,
        )
        total += sum(tf.reduce_sum(later[k] * memory_after[k]) for k in memory)
    return tape.gradient(total, (theta, memory), unconnected_gradients="zero")
