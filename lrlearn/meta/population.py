"""The optimizees of a meta-training run and when they start anew."""

import dataclasses

import numpy as np
import tensorflow as tf

_TRAINING_STREAM = 0


@dataclasses.dataclass
class Member:
    """One optimizee's place in the schedule.

    Attributes:
        problem: Index of its problem.
        replica: Index of its replica, over all workers.
        index: Its index within the replica.
        episode: Number of initializations so far, from 0.
        steps_left: Steps to the end of its horizon.
        optimizee: What the estimator keeps of it, by default an `Optimizee`.
    """

    problem: int
    replica: int
    index: int
    episode: int = -1
    steps_left: int = 0
    optimizee: tuple | None = None


class Population:
    """Optimizees of several problems and initializations, restarted in turn.

    Each runs for a horizon drawn log-uniformly from `horizon` (and rounded to whole
    unrolls), then starts anew from another initialization; the first horizons are cut
    short at random, so that the optimizees are at different ages. All of it follows
    from the seed and the member's episode alone.

    Args:
        problems: A list of `Problem`s.
        rule: An `UpdateRule`.
        estimator: An `Estimator`.
        settings: The `MetaSettings`.
        replicas: Indices of the replicas that this process serves.
    """

    def __init__(self, problems, rule, estimator, settings, replicas):
        self._problems, self._rule, self._estimator = problems, rule, estimator
        self._settings = settings
        self.replicas = [
            [
                Member(index % len(problems), replica, index)
                for index in range(settings.initializations * len(problems))
            ]
            for replica in replicas
        ]

    @property
    def members(self):
        """All members, replica by replica."""
        return [member for replica in self.replicas for member in replica]

    def start(self):
        """Starts the first episode of every optimizee."""
        for member in self.members:
            member.episode = -1
            self.restart(member)

    def restart(self, member):
        """Starts the next episode of a member."""
        member.episode += 1
        settings, place = self._settings, (member.replica, member.index)
        rng = np.random.default_rng(
            [settings.seed, _TRAINING_STREAM, *place, member.episode]
        )
        steps = _log_uniform(rng, settings.horizon)
        if member.episode == 0:
            steps *= rng.uniform()
        member.steps_left = settings.unroll * max(1, round(steps / settings.unroll))
        member.optimizee = self._estimator.start(
            self._problems[member.problem],
            self._rule,
            seed=int(rng.integers(2**31)),
            scale=_log_uniform(rng, settings.initial_scale),
        )

    def advance(self, optimizees, sound):
        """Takes the optimizees after a meta-step, and restarts those that are done.

        Args:
            optimizees: A list of lists of optimizees, by replica.
            sound: Likewise of bools: whether the optimizee is finite and has not
                diverged. Others start anew at once.

        Returns:
            Number of optimizees that were not sound.
        """
        for members, after, flags in zip(self.replicas, optimizees, sound, strict=True):
            for member, optimizee, fine in zip(members, after, flags, strict=True):
                member.optimizee = optimizee
                member.steps_left -= self._settings.unroll
                if not fine or member.steps_left <= 0:
                    self.restart(member)
        return sum(not fine for flags in sound for fine in flags)

    def state(self):
        """Returns all state: a dict of names to NumPy arrays, and JSON types."""
        arrays = {
            f"optimizee/{member.replica}/{member.index}/{leaf}": np.asarray(value)
            for member in self.members
            for leaf, value in enumerate(tf.nest.flatten(member.optimizee))
        }
        return arrays, [[member.episode, member.steps_left] for member in self.members]

    def restore(self, arrays, places):
        """Takes what `state` returned."""
        for member, (episode, steps_left) in zip(self.members, places, strict=True):
            member.episode, member.steps_left = episode, steps_left
            problem = self._problems[member.problem]
            like = self._estimator.structure(problem, self._rule)
            leaves = [
                tf.constant(arrays[f"optimizee/{member.replica}/{member.index}/{leaf}"])
                for leaf in range(len(tf.nest.flatten(like)))
            ]
            member.optimizee = tf.nest.pack_sequence_as(like, leaves)


def _log_uniform(rng, bounds):
    low, high = bounds
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
