"""Runs an update rule on a problem for some steps."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from lrlearn.meta.seeds import fold


class Record(NamedTuple):
    """What an unroll records.

    Attributes:
        function: Function of a step's inputs `x`, the `Optimizee` that it led to and
            the `Lesson` there; returns a float32 tensor.
        shape: The tensor's shape.
        every: Number of steps of which only the last is kept. Defaults to `1`.
    """

    function: Callable
    shape: tuple
    every: int = 1


def advance(problem, rule, theta, optimizee, g, through_features=False):
    r"""Takes one step of the rule.

    $$c_s, u_{s+1} = \mathrm{observe}(g_s, u_s), \quad
      x_s, a_{s+1} = \mathrm{features}(g_s, w_s, c_s, a_s), \quad
      d_s, h_{s+1} = \mathrm{direction}_\theta(x_s, h_s), \quad w_{s+1} = w_s + d_s.$$

    Args:
        problem: A `Problem`.
        rule: An `UpdateRule`.
        theta: The rule's weights, a dict of tensors.
        optimizee: An `Optimizee`.
        g: Gradient `[n]` at `optimizee.w`.
        through_features: Whether derivatives flow through `x`. Defaults to `False`,
            which holds features constant (Andrychowicz et al., 2016).

    Returns:
        A tuple `(x, optimizee)`: the rule's inputs and the moved optimizee.
    """
    constant = tf.identity if through_features else tf.stop_gradient
    g, w, step = constant(g), constant(optimizee.w), optimizee.step + 1
    context, statistics = rule.observe(g, optimizee.statistics, step, problem.shapes)
    x, accumulators = rule.features(g, w, context, optimizee.accumulators, step)
    d, memory = rule.direction(theta, x, optimizee.memory)
    return x, optimizee._replace(
        w=optimizee.w + d,
        statistics=statistics,
        accumulators=accumulators,
        memory=memory,
        step=step,
    )


def unroll(
    problem,
    rule,
    theta,
    optimizee,
    seed,
    steps,
    emit,
    through_features=False,
    teach=None,
):
    """Returns the optimizee after `steps` steps of the rule, and what `emit` said.

    One `tf.while_loop`, differentiable in `theta`, for graphs with and without XLA.

    Args:
        problem: A `Problem`.
        rule: An `UpdateRule`.
        theta: The rule's weights, a dict of tensors.
        optimizee: The `Optimizee` to start from.
        seed: Integer tensor `[2]` that determines every batch.
        steps: Number of steps, a Python integer.
        emit: A dict of names to `Record`s.
        through_features: See `advance`.
        teach: `problem.teach` (the default) or `problem.judge`.

    Returns:
        A tuple `(optimizee, emitted)`, the latter a dict of tensors `[steps, ...]`,
        or `[ceil(steps / every), ...]`.
    """
    teach = teach or problem.teach
    emit = {name: Record(*record) for name, record in emit.items()}

    def body(s, optimizee, g, arrays):
        x, optimizee = advance(problem, rule, theta, optimizee, g, through_features)
        lesson = teach(optimizee.w, optimizee.model_state, fold(seed, s + 1))
        arrays = {
            name: arrays[name].write(s // at.every, at.function(x, optimizee, lesson))
            for name, at in emit.items()
        }
        optimizee = optimizee._replace(model_state=lesson.model_state)
        return s + 1, optimizee, lesson.g, arrays

    arrays = {
        name: tf.TensorArray(tf.float32, -(-steps // at.every), element_shape=at.shape)
        for name, at in emit.items()
    }
    g, _ = problem.gradient(optimizee.w, optimizee.model_state, fold(seed, 0))
    _, optimizee, _, arrays = tf.while_loop(
        lambda s, *_: s < steps,
        body,
        (tf.zeros((), tf.int32), optimizee, g, arrays),
        maximum_iterations=steps,
    )
    return optimizee, {name: array.stack() for name, array in arrays.items()}


def roll(problem, rule, theta, optimizee, seed, steps):
    """Returns the optimizee after `steps` steps of the rule, with no teacher.

    Args:
        problem: A `Problem`.
        rule: An `UpdateRule`.
        theta: The rule's weights, a dict of tensors.
        optimizee: The `Optimizee` to start from.
        seed: Integer tensor `[2]` that determines every batch.
        steps: Number of steps, an integer or an integer tensor.
    """

    def body(s, optimizee):
        g, model_state = problem.gradient(
            optimizee.w, optimizee.model_state, fold(seed, s)
        )
        _, optimizee = advance(problem, rule, theta, optimizee, g)
        return s + 1, optimizee._replace(model_state=model_state)

    start = (tf.zeros((), tf.int32), optimizee)
    return tf.while_loop(lambda s, *_: s < steps, body, start)[1]
