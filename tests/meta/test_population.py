"""When optimizees start anew."""

import numpy as np
import tensorflow as tf

from lrlearn.meta import MetaSettings, Replay
from lrlearn.meta.population import Population
from lrlearn.meta.problem import Optimizee


class _Problem:
    """Notes how its optimizees start."""

    def __init__(self):
        self.starts = []

    def start(self, rule, seed, scale):
        self.starts.append((seed, scale))
        return Optimizee(tf.constant([float(seed)]), [], {}, {}, {}, tf.constant(0))

    def structure(self, rule):
        return Optimizee(None, [], {}, {}, {}, None)


def _population(problems=1, replicas=(0,), **settings):
    problems = [_Problem() for _ in range(problems)]
    population = Population(
        problems, None, Replay(), MetaSettings(**settings), replicas
    )
    population.start()
    return population, problems


def _advance(population, unsound=()):
    optimizees = [[m.optimizee for m in members] for members in population.replicas]
    sound = [[m.index not in unsound for m in ms] for ms in population.replicas]
    return population.advance(optimizees, sound)


def test_horizons_are_log_uniform():
    """Within the bounds, whole unrolls, and as many below as above the middle."""
    population, _ = _population(horizon=(100, 1000))
    (member,) = population.members
    horizons = []
    for _ in range(1000):
        population.restart(member)
        horizons.append(member.steps_left)
    assert min(horizons) >= 100 and max(horizons) <= 1000
    assert all(steps % 20 == 0 for steps in horizons)
    for quarter in (0.25, 0.5, 0.75):
        below = np.mean(np.array(horizons) < 100 * 10**quarter)
        np.testing.assert_allclose(below, quarter, atol=0.05)


def test_starts_are_desynchronised():
    """The first horizons are spread from one unroll to the whole."""
    population, _ = _population(initializations=200, horizon=1000)
    first = [member.steps_left for member in population.members]
    assert min(first) < 100 and max(first) > 900
    np.testing.assert_allclose(np.mean(first), 500, atol=70)


def test_advance_restarts_at_the_end_of_the_horizon():
    """A member starts anew when its steps are used up, from another seed."""
    population, (problem,) = _population(horizon=(40, 40))
    (member,) = population.members
    member.steps_left = 40
    assert _advance(population) == 0
    assert (member.episode, member.steps_left) == (0, 20)
    assert _advance(population) == 0
    assert (member.episode, member.steps_left) == (1, 40)
    assert len({seed for seed, _ in problem.starts}) == 2


def test_advance_restarts_and_counts_unsound_optimizees():
    """At once, and only those."""
    population, _ = _population(initializations=3, horizon=1000)
    for member in population.members:
        member.steps_left = 500
    assert _advance(population, unsound=[0, 2]) == 2
    assert [member.episode for member in population.members] == [1, 0, 1]


def test_places():
    """Problems take turns; every replica, place and episode has its own seed."""
    population, problems = _population(problems=2, replicas=(0, 1), initializations=2)
    assert [m.problem for m in population.members] == 2 * [0, 1, 0, 1]
    population.restart(population.members[0])
    seeds = [seed for problem in problems for seed, _ in problem.starts]
    assert len(set(seeds)) == 9
    second, _ = _population(problems=2, replicas=(1,), initializations=2)
    (alone,) = second.replicas
    for one, other in zip(alone, population.replicas[1], strict=True):
        np.testing.assert_array_equal(one.optimizee.w, other.optimizee.w)


def test_start_is_the_same_each_time():
    """So that a run that failed in its first step starts like a new one."""
    population, _ = _population(initializations=2)
    first = population.state()
    _advance(population, unsound=[0])
    population.start()
    assert population.state()[1] == first[1]
    np.testing.assert_equal(population.state()[0], first[0])


def test_initial_scale_is_log_uniform():
    """Half of the factors are below the geometric mean."""
    _, (problem,) = _population(initializations=1000, initial_scale=(0.5, 2.0))
    scales = np.array([scale for _, scale in problem.starts])
    assert scales.min() >= 0.5 and scales.max() <= 2.0
    np.testing.assert_allclose(np.mean(scales < 1.0), 0.5, atol=0.05)


def test_state_round_trip():
    """A restored population goes on like the one that was saved."""
    one, _ = _population(initializations=3, seed=4)
    _advance(one, unsound=[1])
    other, _ = _population(initializations=3, seed=4)
    other.restore(*one.state())
    for _ in range(60):
        _advance(one), _advance(other)
    assert one.state()[1] == other.state()[1]
    for name, value in one.state()[0].items():
        np.testing.assert_array_equal(other.state()[0][name], value)
