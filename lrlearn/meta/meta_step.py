"""The graph of a meta-step."""

import functools
from typing import NamedTuple

import tensorflow as tf

from lrlearn.meta.seeds import fold

_SEED = tf.TensorSpec([2], tf.int32)


class Tally(NamedTuple):
    """Sums over the sound optimizees of a replica, or of all replicas.

    Attributes:
        gradient: Meta-gradient, a dict like `theta`.
        meta_loss: Mean meta-loss of an unroll.
        loss: Training loss at the end of an unroll.
        count: Number of sound optimizees.
    """

    gradient: dict
    meta_loss: tf.Tensor
    loss: tf.Tensor
    count: tf.Tensor


class MetaStep:
    """One meta-step over all optimizees of all replicas, as one `tf.function`.

    The meta-gradient is the mean over *sound* optimizees: those whose values and
    meta-gradient are finite and whose losses stay below `loss_limit`. Where no
    optimizee is sound nothing is applied, and the logs are NaN.

    Args:
        problems: The `Problem` of each optimizee of a replica, a list.
        rule: An `UpdateRule`.
        estimator: An `Estimator`.
        settings: The `MetaSettings`.
        apply: Function of a dict of meta-gradients that updates `theta`.
        strategy: A `tf.distribute.Strategy`.
        jit_compile: Whether the estimators are compiled with XLA.
    """

    def __init__(
        self,
        problems,
        rule,
        estimator,
        settings,
        *,
        apply,
        strategy,
        jit_compile,
    ):
        self._problems, self._rule, self._estimator = problems, rule, estimator
        self._settings, self._apply, self._strategy = settings, apply, strategy
        # One graph a problem, however many optimizees share it.
        self._estimates = {
            problem: tf.function(
                self._estimate_of(problem), jit_compile=jit_compile, autograph=False
            )
            for problem in set(problems)
        }
        self._graph = tf.function(self._step, autograph=False)

    def __call__(self, theta, optimizees, step):
        """Runs a meta-step.

        Args:
            theta: A dict of tensors.
            optimizees: Lists of what the estimator keeps of an optimizee, one list for
                each replica of this process.
            step: Number of meta-steps done before.

        Returns:
            A tuple `(logs, optimizees, sound)`: a dict of floats, the optimizees after
            the unroll, and bools in the same lists that say which are sound.
        """
        replicas = iter(optimizees)
        distributed = self._strategy.experimental_distribute_values_from_function(
            lambda _: next(replicas)
        )
        logs, optimizees, sound = self._graph(
            theta, distributed, tf.constant(step, tf.int32)
        )
        return (
            {name: float(value) for name, value in logs.items()},
            self._split_replicas(optimizees),
            [flags.numpy().tolist() for flags in self._split_replicas(sound)],
        )

    def _step(self, theta, optimizees, step):
        # Traced here: within a replica Keras divides losses by the replicas' number.
        estimates = [
            self._estimates[problem].get_concrete_function(theta, optimizee, _SEED)
            for problem, optimizee in zip(
                self._problems, self._split_replicas(optimizees)[0], strict=True
            )
        ]
        tally, optimizees, sound = self._strategy.run(
            functools.partial(self._replica_step, estimates),
            args=(theta, optimizees, step),
        )
        total = tf.nest.map_structure(
            lambda value: self._strategy.reduce("SUM", value, axis=None), tally
        )
        # Not finite where the count is zero.
        mean = tf.nest.map_structure(lambda value: value / total.count, total)
        gradient_norm = _norm(mean.gradient)
        tf.cond(
            tf.math.is_finite(gradient_norm),
            lambda: self._applied(mean.gradient),
            lambda: False,
        )
        logs = {
            "meta_loss": mean.meta_loss,
            "loss": mean.loss,
            "gradient_norm": gradient_norm,
        }
        return logs, optimizees, sound

    def _replica_step(self, estimates, theta, optimizees, step):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = fold(tf.constant([self._settings.seed, 0], tf.int32), step, replica)
        results = [
            estimate(theta, optimizee, fold(seed, index))
            for index, (estimate, optimizee) in enumerate(
                zip(estimates, optimizees, strict=True)
            )
        ]
        tallies, optimizees, sound = zip(*results, strict=True)
        total = tf.nest.map_structure(lambda *values: tf.add_n(values), *tallies)
        return total, list(optimizees), tf.stack(sound)

    def _estimate_of(self, problem):
        def estimate(theta, optimizee, seed):
            gradient, optimizee, losses, meta_loss = self._estimator.estimate(
                problem, self._rule, theta, optimizee, seed, self._settings.unroll
            )
            # A comparison with NaN is false.
            sound = tf.reduce_all(losses < self._settings.loss_limit)
            for value in (meta_loss, _norm(gradient), *tf.nest.flatten(optimizee)):
                if value.dtype.is_floating:
                    sound &= tf.reduce_all(tf.math.is_finite(value))
            tally = Tally(gradient, meta_loss, losses[-1], tf.ones(()))
            tally = tf.nest.map_structure(
                lambda value: tf.where(sound, value, tf.zeros_like(value)), tally
            )
            return tally, optimizee, sound

        return estimate

    def _applied(self, gradient):
        self._apply(gradient)
        return True

    def _split_replicas(self, structure):
        local = [
            self._strategy.experimental_local_results(leaf)
            for leaf in tf.nest.flatten(structure)
        ]
        return [
            tf.nest.pack_sequence_as(structure, leaves)
            for leaves in zip(*local, strict=True)
        ]


def _norm(gradient):
    return tf.linalg.global_norm(list(gradient.values()))
