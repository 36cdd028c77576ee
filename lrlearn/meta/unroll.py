"""Runs an update rule on a task for some steps."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from lrlearn.stacking import map_stacked, stack


class Record(NamedTuple):
    """What an unroll records.

    Attributes:
        function: Function of the `Optimizee` after a step, its `Evaluation` and, with
            `return_features`, the step's features; returns a float32 tensor.
        shape: The tensor's shape.
        every: Steps from one kept tensor to the next. Defaults to `1`.
    """

    function: Callable
    shape: tuple
    every: int = 1


_LOSSES = {
    "loss": Record(lambda optimizee, evaluation, *x: evaluation.loss, ()),
    "meta_loss": Record(lambda optimizee, evaluation, *x: evaluation.meta_loss, ()),
}


def take_step(objective, theta, optimizee, g, through_features=False, **options):
    """Returns the `Optimizee` after one step along `g`, and the features if asked for.

    Options are those of the rule's `update`.
    """
    constant = tf.identity if through_features else tf.stop_gradient
    step = optimizee.step + 1
    d, rule_state, *x = objective.rule.update(
        theta,
        constant(g),
        constant(optimizee.w),
        optimizee.rule_state,
        step,
        objective.shapes,
        run=optimizee.run,
        **options,
    )
    w = optimizee.w + d
    return optimizee._replace(w=w, rule_state=rule_state, step=step), *x


def unroll(
    objective,
    theta,
    optimizee,
    seed,
    steps,
    evaluate,
    records=None,
    through_features=False,
    **options,
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
        **options: Options of the rule's `update`.

    Returns:
        A tuple `(optimizee, recorded)`, the latter a dict of `"loss"` and
        `"meta_loss"`, `[steps]`, and tensors `[ceil(steps / every), ...]`.
    """
    records = {**_LOSSES, **(records or {})}

    def body(s, optimizee, g, arrays):
        optimizee, *x = take_step(
            objective, theta, optimizee, g, through_features, **options
        )
        evaluation = evaluate(optimizee, objective.batch(fold_in(seed, s + 1)))
        arrays = {
            name: arrays[name].write(
                s // record.every, record.function(optimizee, evaluation, *x)
            )
            for name, record in records.items()
        }
        optimizee = optimizee._replace(model_state=evaluation.model_state)
        return s + 1, optimizee, evaluation.g, arrays

    arrays = {
        name: tf.TensorArray(tf.float32, -(-steps // r.every), element_shape=r.shape)
        for name, r in records.items()
    }
    g, _ = objective.gradient(optimizee, objective.batch(fold_in(seed, 0)))
    _, optimizee, _, arrays = tf.while_loop(
        lambda s, *_: s < steps,
        body,
        (tf.zeros((), tf.int32), optimizee, g, arrays),
        maximum_iterations=steps,
    )
    return optimizee, {name: array.stack() for name, array in arrays.items()}


def unroll_together(objective, thetas, optimizees, seeds, steps):
    """Returns the optimizees after an `unroll` each, and their losses.

    It differentiates nothing, and uses the teacher's penalty. All are computed at once
    if the task lends itself to it.

    Args:
        objective: A `MetaObjective`.
        thetas: The weights of each, a dict of tensors `[K, ...]`.
        optimizees: The `Optimizee`s to start from, stacked.
        seeds: Integer tensor `[K', 2]` that determines every batch; K is a multiple of
            K', and the optimizees take turns.
        steps: Number of steps, a Python integer.

    Returns:
        A tuple `(optimizees, loss, meta_loss)`, the last two `[K, steps]`.
    """
    seeds = tf.unstack(seeds)
    copies = optimizees.w.shape[0] // len(seeds)

    def batches(s):
        # Outside of the map, in which random numbers cannot be drawn.
        drawn = [objective.batch(fold_in(seed, s)) for seed in seeds] * copies
        return stack(drawn)

    def map_together(function, elements):
        return map_stacked(function, elements, not objective.stacks)

    def step(elements):
        theta, optimizee, g, batch = elements
        (optimizee,) = take_step(objective, theta, optimizee, g)
        evaluation = objective.evaluate_penalty(optimizee, batch)
        optimizee = optimizee._replace(model_state=evaluation.model_state)
        return optimizee, evaluation.g, evaluation.loss, evaluation.meta_loss

    def body(s, optimizees, g, loss, meta_loss):
        elements = thetas, optimizees, g, batches(s + 1)
        optimizees, g, *values = map_together(step, elements)
        loss, meta_loss = (
            array.write(s, value)
            for array, value in zip((loss, meta_loss), values, strict=True)
        )
        return s + 1, optimizees, g, loss, meta_loss

    g = map_together(
        lambda elements: objective.gradient(*elements)[0], (optimizees, batches(0))
    )
    loss, meta_loss = (
        tf.TensorArray(tf.float32, steps, element_shape=g.shape[:1]) for _ in range(2)
    )
    _, optimizees, _, loss, meta_loss = tf.while_loop(
        lambda s, *_: s < steps,
        body,
        (tf.zeros((), tf.int32), optimizees, g, loss, meta_loss),
        maximum_iterations=steps,
    )
    return optimizees, tf.transpose(loss.stack()), tf.transpose(meta_loss.stack())


def run(objective, theta, optimizee, seed, steps):
    """Returns the optimizee after an `unroll` without a teacher; arguments as there."""

    def body(s, optimizee):
        batch = objective.batch(fold_in(seed, s))
        g, model_state = objective.gradient(optimizee, batch)
        (optimizee,) = take_step(objective, theta, optimizee, g)
        return s + 1, optimizee._replace(model_state=model_state)

    start = (tf.zeros((), tf.int32), optimizee)
    return tf.while_loop(lambda s, *_: s < steps, body, start)[1]


def fold_in(seed, *numbers):
    """Returns a seed, `[2]`, that follows from another and some integers or tensors."""
    for number in numbers:
        # Named, so that it is the same on every device and under XLA.
        seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    return seed
