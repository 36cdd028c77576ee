"""Runs an update rule on a task for some steps."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from lrlearn.stacking import map_stacked


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
        objective.flat.shapes,
        run=optimizee.run,
        **options,
    )
    w = objective.flat.project(optimizee.w + d, optimizee.scale)
    return optimizee._replace(w=w, rule_state=rule_state, step=step), *x


def unroll(
    objective,
    theta,
    optimizee,
    seed,
    steps,
    records=None,
    through_features=False,
    **options,
):
    """Returns the optimizee after `steps` steps of the rule, and what was recorded.

    It uses the teacher's field, and is differentiable in `theta`.

    Args:
        objective: A `MetaObjective`.
        theta: The rule's weights, a dict of tensors.
        optimizee: The `Optimizee` to start from.
        seed: Integer tensor `[2]` that determines every batch.
        steps: Number of steps, a Python integer.
        records: A dict of names to `Record`s, beside the losses. Defaults to none.
        through_features: Whether derivatives flow through the rule's features. Defaults
            to `False`, which holds them constant (Andrychowicz et al., 2016).
        **options: Options of the rule's `update`.

    Returns:
        A tuple `(optimizee, recorded)`, the latter a dict of `"loss"` and
        `"meta_loss"`, `[steps]`, and tensors `[ceil(steps / every), ...]`.
    """
    records = {**_LOSSES, **(records or {})}

    def step(s, carry):
        optimizee, g = carry
        optimizee, *x = take_step(
            objective, theta, optimizee, g, through_features, **options
        )
        evaluation = objective.evaluate_field(
            optimizee, objective.batch(fold_in(seed, s + 1))
        )
        if not through_features:
            # Or their zero derivatives are computed, some of which XLA cannot compile.
            evaluation = tf.nest.map_structure(tf.stop_gradient, evaluation)
        values = {
            name: record.function(optimizee, evaluation, *x)
            for name, record in records.items()
        }
        optimizee = optimizee._replace(model_state=evaluation.model_state)
        return (optimizee, evaluation.g), values

    g, _ = objective.gradient(optimizee, objective.batch(fold_in(seed, 0)))
    kept = {name: (record.shape, record.every) for name, record in records.items()}
    (optimizee, _), recorded = _advance(step, (optimizee, g), steps, kept)
    return optimizee, recorded


def unroll_together(objective, thetas, optimizees, seeds, steps):
    """Returns the optimizees after an unroll each, and their losses.

    It uses the teacher's penalty, and differentiates nothing. All are computed at once
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
    copies = optimizees.w.shape[0] // seeds.shape[0]

    def batches(s):
        # Random numbers have no form for all seeds at once, and a large graph for XLA.
        drawn = map_stacked(lambda seed: objective.batch(fold_in(seed, s)), seeds, True)
        return tf.nest.map_structure(lambda x: tf.concat([x] * copies, axis=0), drawn)

    def map_together(function, elements):
        return map_stacked(function, elements, not objective.stacks)

    def one_step(elements):
        theta, optimizee, g, batch = elements
        (optimizee,) = take_step(objective, theta, optimizee, g)
        evaluation = objective.evaluate_penalty(optimizee, batch)
        optimizee = optimizee._replace(model_state=evaluation.model_state)
        return optimizee, evaluation.g, evaluation.loss, evaluation.meta_loss

    def step(s, carry):
        *carry, loss, meta_loss = map_together(
            one_step, (thetas, *carry, batches(s + 1))
        )
        return tuple(carry), {"loss": loss, "meta_loss": meta_loss}

    g = map_together(
        lambda elements: objective.gradient(*elements)[0], (optimizees, batches(0))
    )
    kept = dict.fromkeys(_LOSSES, (g.shape[:1], 1))
    (optimizees, _), losses = _advance(step, (optimizees, g), steps, kept)
    return optimizees, *(tf.transpose(losses[name]) for name in _LOSSES)


def run(objective, theta, optimizee, seed, steps):
    """Returns the optimizee after an `unroll` without a teacher; arguments as there."""

    def step(s, optimizee):
        batch = objective.batch(fold_in(seed, s))
        g, model_state = objective.gradient(optimizee, batch)
        (optimizee,) = take_step(objective, theta, optimizee, g)
        return optimizee._replace(model_state=model_state), {}

    return _advance(step, optimizee, steps, {})[0]


def _advance(step, carry, steps, kept):
    """Returns the carry after some steps, and what was kept on the way.

    One `tf.while_loop`, for graphs with and without XLA.

    Args:
        step: Function of the step's number, from 0, and the carry, a structure of
            tensors; returns the next carry and a dict of float32 tensors to keep.
        carry: What the first step starts from.
        steps: Number of steps, a Python integer.
        kept: A dict of the names to keep to tuples `(shape, every)`: of each `every`
            tensors the last one is kept.

    Returns:
        A tuple `(carry, recorded)`; the latter has tensors
        `[ceil(steps / every), ...]`.
    """
    arrays = {
        name: tf.TensorArray(tf.float32, -(-steps // every), element_shape=shape)
        for name, (shape, every) in kept.items()
    }

    def body(s, carry, arrays):
        carry, values = step(s, carry)
        arrays = {
            name: arrays[name].write(s // kept[name][1], value)
            for name, value in values.items()
        }
        return s + 1, carry, arrays

    _, carry, arrays = tf.while_loop(
        lambda s, *_: s < steps,
        body,
        (tf.zeros((), tf.int32), carry, arrays),
        maximum_iterations=steps,
    )
    return carry, {name: array.stack() for name, array in arrays.items()}


def fold_in(seed, *numbers):
    """Returns a seed, `[2]`, that follows from another and some integers or tensors."""
    for number in numbers:
        # Named, so that it is the same on every device and under XLA.
        seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
    return seed
