"""The optimizees of a meta-training run, and when they start anew."""

import dataclasses

import numpy as np
import tensorflow as tf

from lrlearn.meta.meta_objective import Start

_TRAINING_STREAM = 0


@dataclasses.dataclass
class OptimizeeSlot:
    """Holds one optimizee after another.

    Attributes:
        task: Index of its task.
        replica: Index of its replica, over all workers.
        index: Its index within the replica.
        episode: Number of initializations so far, from 0.
        steps_left: Steps to the end of its horizon.
        optimizee: What the estimator keeps of it, by default an `Optimizee`.
    """

    task: int
    replica: int
    index: int
    episode: int = -1
    steps_left: int = 0
    optimizee: tuple | None = None


class OptimizeePool:
    """Optimizees of all tasks, restarted in turn.

    Each runs for a horizon drawn log-uniformly from `horizon` (and rounded to whole
    unrolls), then starts anew from another initialization; the first horizons are cut
    short at random, so that the optimizees are at different ages. All of it follows
    from the seed and the slot's episode alone.

    Args:
        problem: A `MetaProblem`.
        replicas: Indices of the replicas that this process serves.
    """

    def __init__(self, problem, replicas):
        self._problem, tasks = problem, len(problem.objectives)
        self.replicas = [
            [
                OptimizeeSlot(index % tasks, replica, index)
                for index in range(problem.settings.optimizees_per_task * tasks)
            ]
            for replica in replicas
        ]

    @property
    def slots(self):
        """All slots, replica by replica."""
        return [slot for slots in self.replicas for slot in slots]

    def start(self):
        """Starts the first episode of every slot."""
        for slot in self.slots:
            slot.episode = -1
            self.restart(slot)

    def restart(self, slot):
        """Starts the next episode of a slot."""
        slot.episode += 1
        settings = self._problem.settings
        seeds = slot.replica, slot.index, slot.episode
        rng = np.random.default_rng([settings.seed, _TRAINING_STREAM, *seeds])
        steps = _log_uniform(rng, settings.horizon)
        if slot.episode == 0:
            steps *= rng.uniform()
        slot.steps_left = settings.unroll * max(1, round(steps / settings.unroll))
        slot.optimizee = self._start(
            slot.task, draw_start(rng, settings, slot.steps_left)
        )

    def turn(self, step):
        """Returns the slots whose turn it is in a meta-step, lists by replica.

        Tasks take turns, `tasks_per_step` at a time.
        """
        tasks = len(self._problem.objectives)
        at_once = self._problem.settings.tasks_per_step or tasks
        chosen = {(step * at_once + i) % tasks for i in range(at_once)}
        return [
            [slot for slot in slots if slot.task in chosen] for slots in self.replicas
        ]

    def advance(self, step, optimizees, valid):
        """Takes the optimizees after a meta-step, lists of lists by replica.

        Those that are done or not `valid` start anew. Returns the number of the latter.
        """
        for slots, after, flags in zip(self.turn(step), optimizees, valid, strict=True):
            for slot, optimizee, is_valid in zip(slots, after, flags, strict=True):
                slot.optimizee = optimizee
                slot.steps_left -= self._problem.settings.unroll
                if not is_valid or slot.steps_left <= 0:
                    self.restart(slot)
        return sum(not is_valid for flags in valid for is_valid in flags)

    def arrays(self):
        """Returns all state, a dict of names to NumPy arrays."""
        schedule = [[slot.episode, slot.steps_left] for slot in self.slots]
        return {"schedule": np.array(schedule)} | {
            f"{_name(slot)}/{leaf}": np.asarray(value)
            for slot in self.slots
            for leaf, value in enumerate(tf.nest.flatten(slot.optimizee))
        }

    def restore(self, arrays):
        """Takes what `arrays` returned."""
        tasks = range(len(self._problem.objectives))
        structures = [self._start(task, Start(seed=0, steps=1)) for task in tasks]
        for slot, schedule in zip(self.slots, arrays["schedule"], strict=True):
            slot.episode, slot.steps_left = map(int, schedule)
            structure = structures[slot.task]
            leaves = [
                tf.constant(arrays[f"{_name(slot)}/{leaf}"])
                for leaf in range(len(tf.nest.flatten(structure)))
            ]
            slot.optimizee = tf.nest.pack_sequence_as(structure, leaves)

    def _start(self, task, start):
        return self._problem.estimator.start(self._problem.objectives[task], start)


def draw_start(rng, settings, steps):
    """Returns a `Start` of a run of some steps, drawn from a NumPy generator."""
    seed = int(rng.integers(2**31))
    initial_scale = _log_uniform(rng, settings.initial_scale)
    common, own = settings.reparameterization
    factor = _log_uniform(rng, (1.0 / common, common))
    return Start(seed, steps, initial_scale, draw_rho(rng, settings.dial), factor, own)


def draw_rho(rng, dial):
    """Returns a setting of the dial: 0 once in four times."""
    if dial is None or rng.uniform() < 0.25:
        return 0.0
    return _log_uniform(rng, dial)


def _name(slot):
    return f"optimizee/{slot.replica}/{slot.index}"


def _log_uniform(rng, bounds):
    low, high = bounds
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
