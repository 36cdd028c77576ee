"""Runs an update rule on a task for some steps."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Record(NamedTuple):
    """What an unroll records.

    Attributes:
        function: Function of a step's features `x`, the `Optimizee` after the step and
            its `Evaluation`; returns a float32 tensor.
        shape: The tensor's shape.
        every: Steps from one kept tensor to the next. Defaults to `1`.
    """

    function: Callable
    shape: tuple
    every: int = 1


_LOSSES = {
    "loss": Record(lambda x, optimizee, evaluation: evaluation.loss, ()),
    "meta_loss": Record(lambda x, optimizee, evaluation: evaluation.meta_loss, ()),
}


def take_step(objective, theta, optimizee, g, through_features=False):
    """Returns the rule's features and the `Optimizee` after one step along `g`."""
    constant = tf.identity if through_features else tf.stop_gradient
    step = optimizee.step + 1
    d, rule_state, x = objective.rule.update(
        theta,
        constant(g),
        constant(optimizee.w),
        optimizee.rule_state,
        step,
        objective.shapes,
        return_features=True,
    )
    w = optimizee.w + d
    return x, optimizee._replace(w=w, rule_state=rule_state, step=step)


def unroll(
    objective,
    theta,
    optimizee,
    seed,
    steps,
    evaluate,
    records=None,
    through_features=False,
):
    """Returns the optimizee after `steps` steps of the rule, and what was recorded.

    One `tf.while_loop`, differentiable in `theta`, for graphs with and without XLA.

    Args:
        objective: A `MetaObjective`.
        theta: The rule's weights, a dict of tensors.
        optimizee: The `Optimizee` to start from.
        seed: Integer tensor `[2]` that determines every batch.
        steps: Number of steps, a Python integer.
        evaluate: Which part of the teacher to use: `objective.evaluate_field` or
            `objective.evaluate_penalty`.
        records: A dict of names to `Record`s, beside the losses. Defaults to none.
        through_features: Whether derivatives flow through the rule's features. Defaults
            to `False`, which holds them constant (Andrychowicz et al., 2016).

    Returns:
        A tuple `(optimizee, recorded)`, the latter a dict of `"loss"` and
        `"meta_loss"`, `[steps]`, and tensors `[ceil(steps / every), ...]`.
    """
    records = {**_LOSSES, **(records or {})}

    def body(s, optimizee, g, arrays):
        x, optimizee = take_step(objective, theta, optimizee, g, through_features)
        evaluation = evaluate(optimizee.w, optimizee.model_state, fold_in(seed, s + 1))
        arrays = {
            name: arrays[name].write(
                s // record.every, record.function(x, optimizee, evaluation)
            )
            for name, record in records.items()
        }
        optimizee = optimizee._replace(model_state=evaluation.model_state)
        return s + 1, optimizee, evaluation.g, arrays

    arrays = {
        name: tf.TensorArray(tf.float32, -(-steps // r.every), element_shape=r.shape)
        for name, r in records.items()
    }
    g, _ = objective.gradient(optimizee.w, optimizee.model_state, fold_in(seed, 0))
    _, optimizee, _, arrays = tf.while_loop(
        lambda s, *_: s < steps,
        body,
        (tf.zeros((), tf.int32), optimizee, g, arrays),
        maximum_iterations=steps,
    )
    return optimizee, {name: array.stack() for name, array in arrays.items()}


def run(objective, theta, optimizee, seed, steps):
    """Returns the optimizee after an `unroll` without a teacher; arguments as there."""

    def body(s, optimizee):
        g, model_state = objective.gradient(
            optimizee.w, optimizee.model_state, fold_in(seed, s)
        )
        _, optimizee = take_step(objective, theta, optimizee, g)
        return s + 1, optimizee._replace(model_state=model_state)

    start = (tf.zeros((), tf.int32), optimizee)
    return tf.while_loop(lambda s, *_: s < steps, body, start)[1]


def fold_in(seed, *numbers):
    """Returns a seed, `[2]`, that follows from another and some integers or tensors."""
    for number in numbers:
        # Named, so that it is the same on every device and under XLA.
        seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    return seed
