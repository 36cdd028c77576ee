"""A teacher's values in a run, and what moves them."""

import math

import numpy as np
import tensorflow as tf

from lrlearn.meta.unroll import fold_in

_STREAM = -2  # the seeds of meta-steps fold in a replica, from 0


class Teaching:
    """The values of a teacher, updated as meta-training goes on.

    Args:
        problem: A `MetaProblem`.
        meta_step: The `MetaStep`, which estimates meta-gradients.
        pool: The `OptimizeePool`.
        workers: The `Workers`, over which measurements are averaged.
    """

    def __init__(self, problem, meta_step, pool, workers):
        self._problem, self._meta_step = problem, meta_step
        self._pool, self._workers = pool, workers
        self._teacher = problem.teacher
        self.values = self._teacher.start()
        self._gaps = [
            tf.function(objective.gap, autograph=False)
            for objective in problem.objectives
        ]
        self._held_out = [objective.held_out() for objective in problem.objectives]
        self._measure = {
            "step": lambda theta, step: step,
            "gap": self._measure_gap,
            "alignment": self._measure_alignments,
        }[self._teacher.measures]

    @property
    def logs(self):
        """The values that the history keeps, a dict of floats."""
        names = self._teacher.names
        return dict(zip(names, map(float, self.values[: len(names)]), strict=True))

    def advance(self, theta, step):
        """Updates the values, if it is time, before the optimizees of a turn move.

        Args:
            theta: The weights of the rule, a dict of tensors.
            step: Number of meta-steps done.
        """
        if step and step % self._teacher.every == 0:
            measured = self._measure(theta, step)
            self.values = self._teacher.update(self.values, measured)

    def arrays(self):
        """Returns all state, a dict of names to NumPy arrays; none if it is fixed."""
        return {"teacher": self.values} if len(self.values) else {}

    def restore(self, arrays):
        """Takes what `arrays` returned."""
        self.values = arrays.get("teacher", self.values)

    def _measure_gap(self, theta, step):
        """Returns the mean gap of all optimizees, NaN if none is finite."""
        gaps = [
            float(
                self._gaps[slot.task](
                    self._problem.estimator.current(slot.optimizee),
                    self._seed(slot, step),
                )
            )
            for slot in self._pool.slots
        ]
        gaps = [gap for gap in gaps if math.isfinite(gap)]
        return float(self._workers.mean([np.mean(gaps) if gaps else math.nan])[0])

    def _measure_alignments(self, theta, step):
        """Returns the cosine of each member's meta-gradients with held-out ones.

        Tasks take turns from one measurement to the next.
        """
        turn = self._pool.turn(step // self._teacher.every)
        slots = [slot for of_replica in turn for slot in of_replica]
        sums = [
            self._sums([slot for slot in slots if slot.task == task], theta, step)
            for task in sorted({slot.task for slot in slots})
        ]
        products, squares, held_out = self._workers.mean(np.sum(sums, axis=0))
        with np.errstate(invalid="ignore"):  # 0/0 if none was finite
            return products / (np.sqrt(squares) * np.sqrt(held_out))

    def _sums(self, slots, theta, step):
        """Returns the sums of the cosine over optimizees of one task, `[3, members]`.

        Those with a gradient that is not finite, or too large a loss, are left out.
        """
        optimizees = [slot.optimizee for slot in slots]
        seeds = [self._seed(slot, step) for slot in slots]

        def gradients(objective, values):
            found, below = self._meta_step.gradients(
                objective, theta, values, optimizees, seeds
            )
            rows = [g.reshape(len(slots), -1) for g in found.values()]
            return np.where(below[:, None], np.concatenate(rows, axis=1), np.nan)

        objective = self._problem.objectives[slots[0].task]
        one_hot = np.eye(len(self.values), dtype="float32")
        G = np.stack([gradients(objective, values) for values in one_hot])
        G_v = gradients(self._held_out[slots[0].task], np.zeros(0, "float32"))
        finite = np.isfinite(G).all(axis=(0, 2)) & np.isfinite(G_v).all(axis=1)
        G, G_v = G[:, finite].astype("float64"), G_v[finite].astype("float64")
        products, squares = (G * G_v).sum(axis=(1, 2)), (G**2).sum(axis=(1, 2))
        return products, squares, np.full_like(squares, (G_v**2).sum())

    def _seed(self, slot, step):
        seed = tf.constant([self._problem.settings.seed, 0], tf.int32)
        return fold_in(seed, step, _STREAM, slot.replica, slot.index)
