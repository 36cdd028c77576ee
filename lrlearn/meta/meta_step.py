"""The graph of a meta-step."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lrlearn.meta.unroll import fold_in
from lrlearn.stacking import stack, unstack

_TOGETHER = 8


class ReplicaSums(NamedTuple):
    """Sums over the valid optimizees of a replica, or of all replicas.

    Attributes:
        gradient: Meta-gradient, a dict like `theta`.
        meta_loss: Mean meta-loss of an unroll.
        loss: Training loss at the end of an unroll.
        count: Number of valid optimizees.
        diverged: Number of those that are not, for their losses.
    """

    gradient: dict
    meta_loss: tf.Tensor
    loss: tf.Tensor
    count: tf.Tensor
    diverged: tf.Tensor


class MetaStep:
    """One meta-step over all optimizees of all replicas, as one `tf.function`.

    The meta-gradient is the mean over *valid* optimizees: their values and their
    meta-gradient are finite and their losses stay below `loss_limit`. If no optimizee
    is valid nothing is applied, and the logs are NaN.

    Args:
        problem: A `MetaProblem`.
        apply: Function of a dict of meta-gradients that updates `theta`.
        strategy: A `tf.distribute.Strategy`.
        jit_compile: See `MetaTrainer`.
    """

    def __init__(self, problem, *, apply, strategy, jit_compile):
        self._problem, self._apply, self._strategy = problem, apply, strategy
        self._jit_compile = jit_compile
        self._estimates, self._graphs = {}, {}
        for objective in problem.objectives:
            self._estimate(objective)

    def __call__(self, theta, values, optimizees, tasks, step):
        """Runs a meta-step.

        Args:
            theta: A dict of tensors.
            values: The teacher's values, an array.
            optimizees: Lists of what the estimator keeps of an optimizee, one list for
                each replica of this process.
            tasks: Indices of their tasks, the same in each list.
            step: Number of meta-steps done before.

        Returns:
            A tuple `(logs, optimizees, valid)`: a dict of floats, the optimizees after
            the unroll, and bools in the same lists that tell which are valid.
        """
        replicas = iter(optimizees)
        distributed = self._strategy.experimental_distribute_values_from_function(
            lambda _: next(replicas)
        )
        graph = self._graph(tuple(tasks))
        logs, optimizees, valid = graph(
            theta, tf.constant(values), distributed, tf.constant(step, tf.int32)
        )
        return (
            {name: float(value) for name, value in logs.items()},
            self._split_replicas(optimizees),
            [flags.numpy().tolist() for flags in self._split_replicas(valid)],
        )

    def gradients(self, objective, theta, values, optimizees, seeds):
        """Returns meta-gradients of optimizees on one task, which stay as they are.

        Args:
            objective: A `MetaObjective`.
            theta: A dict of tensors.
            values: The teacher's values, an array.
            optimizees: A list of K, as the estimator keeps them.
            seeds: Integer tensors `[2]`, one for each.

        Returns:
            A tuple of a dict like `theta` of arrays `[K, ...]`, and bools `[K]`:
            whether the losses stay below `loss_limit`.
        """
        found = [
            self._estimate(objective)(
                theta,
                tf.constant(values),
                stack([optimizees[index] for index in group]),
                tf.stack([seeds[index] for index in group]),
            )
            for group in self._groups([0] * len(optimizees))
        ]
        gradients = {n: np.concatenate([e.gradient[n] for e in found]) for n in theta}
        return gradients, np.concatenate([self._below(e.losses) for e in found])

    def _graph(self, tasks):
        """Returns the graph of a meta-step on these tasks, one each for every turn."""
        if tasks not in self._graphs:
            step = functools.partial(self._step, tasks)
            self._graphs[tasks] = tf.function(step, autograph=False)
        return self._graphs[tasks]

    def _step(self, tasks, theta, values, optimizees, step):
        # Traced here: within a replica Keras divides losses by the replicas' number.
        local = self._split_replicas(optimizees)[0]
        estimates = [
            (
                group,
                self._estimate(
                    self._problem.objectives[tasks[group[0]]]
                ).get_concrete_function(
                    theta,
                    values,
                    stack([local[index] for index in group]),
                    tf.TensorSpec([len(group), 2], tf.int32),
                ),
            )
            for group in self._groups(tasks)
        ]
        sums, optimizees, valid = self._strategy.run(
            functools.partial(self._replica_step, estimates),
            args=(theta, values, optimizees, step),
        )
        total = tf.nest.map_structure(
            lambda value: self._strategy.reduce("SUM", value, axis=None), sums
        )
        # Not finite if the count is zero.
        mean = tf.nest.map_structure(lambda value: value / total.count, total)
        gradient_norm = _norm(mean.gradient)
        tf.cond(
            tf.math.is_finite(gradient_norm),
            lambda: self._apply(mean.gradient),
            lambda: None,
        )
        logs = {
            "meta_loss": mean.meta_loss,
            "loss": mean.loss,
            "gradient_norm": gradient_norm,
            "diverged": total.diverged,
        }
        return logs, optimizees, valid

    def _replica_step(self, estimates, theta, values, optimizees, step):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.constant([self._problem.settings.seed, 0], tf.int32)
        seed = fold_in(seed, step, replica)
        sums, after, valid = [], list(optimizees), [None] * len(optimizees)
        for group, estimate in estimates:
            seeds = tf.stack([fold_in(seed, index) for index in group])
            # Not in what XLA compiles: it would make a kernel of each slice.
            given = stack([optimizees[index] for index in group])
            group_sums, ends, flags = self._valid_sums(
                *estimate(theta, values, given, seeds)
            )
            sums.append(group_sums)
            each = zip(group, unstack(ends), tf.unstack(flags), strict=True)
            for index, end, flag in each:
                after[index], valid[index] = end, flag
        total = tf.nest.map_structure(lambda *values: tf.add_n(values), *sums)
        return total, after, tf.stack(valid)

    def _groups(self, tasks):
        """Returns which optimizees are estimated together: lists of their indices.

        They are of one task, and so few that there is work for several threads.
        """
        if not self._problem.estimator.together:
            return [[index] for index in range(len(tasks))]
        of_task = {}
        for index, task in enumerate(tasks):
            of_task.setdefault(task, []).append(index)
        return [
            indices[first : first + _TOGETHER]
            for indices in of_task.values()
            for first in range(0, len(indices), _TOGETHER)
        ]

    def _estimate(self, objective):
        """Returns the compiled estimates, one graph however many optimizees share it.

        It is a function of theta, the teacher's values, the optimizees, stacked, and
        their seeds.
        """
        if objective not in self._estimates:
            estimator, steps = self._problem.estimator, self._problem.settings.unroll

            def estimate(theta, values, stacked, seeds):
                return estimator.estimate_together(
                    objective.taught(values), theta, stacked, seeds, steps
                )

            pays = objective.suits_xla
            jit = pays if self._jit_compile is None else self._jit_compile
            self._estimates[objective] = tf.function(
                estimate, jit_compile=jit, autograph=False
            )
        return self._estimates[objective]

    def _valid_sums(self, gradient, stacked, losses, meta_loss):
        """Returns the `ReplicaSums` of optimizees, themselves and which are valid."""
        below = self._below(losses)
        valid, one = below, tf.ones_like(meta_loss)
        for value in (meta_loss, *gradient.values(), *tf.nest.flatten(stacked)):
            if value.dtype.is_floating:
                valid &= _all(tf.math.is_finite(value))
        sums = tf.nest.map_structure(
            lambda value: _sum_where(valid, value),
            ReplicaSums(gradient, meta_loss, losses[:, -1], count=one, diverged=one),
        )
        return sums._replace(diverged=_sum_where(~below, one)), stacked, valid

    def _below(self, losses):
        """Returns whether losses `[K, steps]` stay below `loss_limit`, `[K]`."""
        # A comparison with NaN is false.
        return tf.reduce_all(losses < self._problem.settings.loss_limit, axis=1)

    def _split_replicas(self, structure):
        local = [
            self._strategy.experimental_local_results(leaf)
            for leaf in tf.nest.flatten(structure)
        ]
        return [
            tf.nest.pack_sequence_as(structure, leaves)
            for leaves in zip(*local, strict=True)
        ]


def _all(flags):
    """Returns whether all is true, `[K]`, of bools `[K, ...]`."""
    return tf.reduce_all(flags, axis=list(range(1, flags.shape.rank)))


def _sum_where(valid, values):
    """Returns the sum of `[K, ...]` over those that are valid."""
    mask = tf.reshape(valid, [-1] + [1] * (values.shape.rank - 1))
    return tf.reduce_sum(tf.where(mask, values, tf.zeros_like(values)), axis=0)


def _norm(gradient):
    return tf.linalg.global_norm(list(gradient.values()))
