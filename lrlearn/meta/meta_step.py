"""The graph of a meta-step."""

import functools
from typing import NamedTuple

import tensorflow as tf

from lrlearn.meta.unroll import fold_in

_SEED = tf.TensorSpec([2], tf.int32)


class ReplicaSums(NamedTuple):
    """Sums over the valid optimizees of a replica, or of all replicas.

    Attributes:
        gradient: Meta-gradient, a dict like `theta`.
        meta_loss: Mean meta-loss of an unroll.
        loss: Training loss at the end of an unroll.
        count: Number of valid optimizees.
    """

    gradient: dict
    meta_loss: tf.Tensor
    loss: tf.Tensor
    count: tf.Tensor


class MetaStep:
    """One meta-step over all optimizees of all replicas, as one `tf.function`.

    The meta-gradient is the mean over *valid* optimizees: their values and their
    meta-gradient are finite and their losses stay below `loss_limit`. If no optimizee
    is valid nothing is applied, and the logs are NaN.

    Args:
        problem: A `MetaProblem`.
        apply: Function of a dict of meta-gradients that updates `theta`.
        strategy: A `tf.distribute.Strategy`.
        jit_compile: Whether the estimates are compiled with XLA.
    """

    def __init__(self, problem, *, apply, strategy, jit_compile):
        self._problem, self._apply, self._strategy = problem, apply, strategy
        # One graph a task, however many optimizees share it.
        self._estimates = [
            tf.function(
                functools.partial(self._estimate, objective),
                jit_compile=jit_compile,
                autograph=False,
            )
            for objective in problem.objectives
        ]
        self._graph = tf.function(self._step, autograph=False)

    def __call__(self, theta, optimizees, step):
        """Runs a meta-step.

        Args:
            theta: A dict of tensors.
            optimizees: Lists of what the estimator keeps of an optimizee, one list for
                each replica of this process. Tasks take turns in each.
            step: Number of meta-steps done before.

        Returns:
            A tuple `(logs, optimizees, valid)`: a dict of floats, the optimizees after
            the unroll, and bools in the same lists that tell which are valid.
        """
        replicas = iter(optimizees)
        distributed = self._strategy.experimental_distribute_values_from_function(
            lambda _: next(replicas)
        )
        logs, optimizees, valid = self._graph(
            theta, distributed, tf.constant(step, tf.int32)
        )
        return (
            {name: float(value) for name, value in logs.items()},
            self._split_replicas(optimizees),
            [flags.numpy().tolist() for flags in self._split_replicas(valid)],
        )

    def _step(self, theta, optimizees, step):
        # Traced here: within a replica Keras divides losses by the replicas' number.
        estimates = [
            self._estimates[index % len(self._estimates)].get_concrete_function(
                theta, optimizee, _SEED
            )
            for index, optimizee in enumerate(self._split_replicas(optimizees)[0])
        ]
        sums, optimizees, valid = self._strategy.run(
            functools.partial(self._replica_step, estimates),
            args=(theta, optimizees, step),
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
        }
        return logs, optimizees, valid

    def _replica_step(self, estimates, theta, optimizees, step):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.constant([self._problem.settings.seed, 0], tf.int32)
        seed = fold_in(seed, step, replica)
        results = [
            estimate(theta, optimizee, fold_in(seed, index))
            for index, (estimate, optimizee) in enumerate(
                zip(estimates, optimizees, strict=True)
            )
        ]
        sums, optimizees, valid = zip(*results, strict=True)
        total = tf.nest.map_structure(lambda *values: tf.add_n(values), *sums)
        return total, list(optimizees), tf.stack(valid)

    def _estimate(self, objective, theta, optimizee, seed):
        """Returns the `ReplicaSums` of one optimizee, itself and if it is valid."""
        estimator, settings = self._problem.estimator, self._problem.settings
        gradient, optimizee, losses, meta_loss = estimator.estimate(
            objective, theta, optimizee, seed, settings.unroll
        )
        # A comparison with NaN is false.
        valid = tf.reduce_all(losses < settings.loss_limit)
        for value in (meta_loss, _norm(gradient), *tf.nest.flatten(optimizee)):
            if value.dtype.is_floating:
                valid &= tf.reduce_all(tf.math.is_finite(value))
        sums = tf.nest.map_structure(
            lambda value: tf.where(valid, value, tf.zeros_like(value)),
            ReplicaSums(gradient, meta_loss, losses[-1], tf.ones(())),
        )
        return sums, optimizee, valid

    def _split_replicas(self, structure):
        local = [
            self._strategy.experimental_local_results(leaf)
            for leaf in tf.nest.flatten(structure)
        ]
        return [
            tf.nest.pack_sequence_as(structure, leaves)
            for leaves in zip(*local, strict=True)
        ]


def local_replicas(strategy):
    """Returns the indices, over all processes, of this process's replicas."""
    indices = []

    def note(context):
        indices.append(int(context.replica_id_in_sync_group))
        return tf.zeros(())

    strategy.experimental_distribute_values_from_function(note)
    return indices


def _norm(gradient):
    return tf.linalg.global_norm(list(gradient.values()))
