"""When optimizees start anew."""

import numpy as np
import tensorflow as tf

from lrlearn.meta import MetaSettings, Replay
from lrlearn.meta.meta_objective import Optimizee
from lrlearn.meta.meta_problem import MetaProblem
from lrlearn.meta.optimizee_pool import OptimizeePool


class _Objective:
    """Notes how its optimizees start."""

    def __init__(self):
        self.starts = []

    def start(self, seed, scale):
        self.starts.append((seed, scale))
        return Optimizee(tf.constant([float(seed)]), [], {}, tf.constant(0))


def _pool(tasks=1, replicas=(0,), **settings):
    objectives = [_Objective() for _ in range(tasks)]
    problem = MetaProblem(objectives, Replay(), MetaSettings(**settings))
    pool = OptimizeePool(problem, replicas)
    pool.start()
    return pool, objectives


def _advance(pool, invalid=()):
    optimizees = [[m.optimizee for m in slots] for slots in pool.replicas]
    valid = [[m.index not in invalid for m in ms] for ms in pool.replicas]
    return pool.advance(optimizees, valid)


def test_horizons_are_log_uniform():
    """Within the bounds, whole unrolls, and as many below as above the middle."""
    pool, _ = _pool(horizon=(100, 1000))
    (slot,) = pool.slots
    horizons = []
    for _ in range(1000):
        pool.restart(slot)
        horizons.append(slot.steps_left)
    assert min(horizons) >= 100 and max(horizons) <= 1000
    assert all(steps % 20 == 0 for steps in horizons)
    for quarter in (0.25, 0.5, 0.75):
        below = np.mean(np.array(horizons) < 100 * 10**quarter)
        np.testing.assert_allclose(below, quarter, atol=0.05)


def test_starts_are_desynchronised():
    """The first horizons are spread from one unroll to the whole."""
    pool, _ = _pool(optimizees_per_task=200, horizon=1000)
    first = [slot.steps_left for slot in pool.slots]
    assert min(first) < 100 and max(first) > 900
    np.testing.assert_allclose(np.mean(first), 500, atol=70)


def test_advance_restarts_at_the_end_of_the_horizon():
    """A slot starts anew when its steps are used up, from another seed."""
    pool, (objective,) = _pool(horizon=(40, 40))
    (slot,) = pool.slots
    slot.steps_left = 40
    assert _advance(pool) == 0
    assert (slot.episode, slot.steps_left) == (0, 20)
    assert _advance(pool) == 0
    assert (slot.episode, slot.steps_left) == (1, 40)
    assert len({seed for seed, _ in objective.starts}) == 2


def test_advance_restarts_and_counts_invalid_optimizees():
    """At once, and only those."""
    pool, _ = _pool(optimizees_per_task=3, horizon=1000)
    for slot in pool.slots:
        slot.steps_left = 500
    assert _advance(pool, invalid=[0, 2]) == 2
    assert [slot.episode for slot in pool.slots] == [1, 0, 1]


def test_every_slot_and_episode_has_its_own_seed():
    """Tasks take turns; so it is in every replica."""
    pool, objectives = _pool(tasks=2, replicas=(0, 1), optimizees_per_task=2)
    assert [m.task for m in pool.slots] == 2 * [0, 1, 0, 1]
    pool.restart(pool.slots[0])
    seeds = [seed for objective in objectives for seed, _ in objective.starts]
    assert len(set(seeds)) == 9
    second, _ = _pool(tasks=2, replicas=(1,), optimizees_per_task=2)
    (alone,) = second.replicas
    for one, other in zip(alone, pool.replicas[1], strict=True):
        np.testing.assert_array_equal(one.optimizee.w, other.optimizee.w)


def test_start_is_the_same_each_time():
    """So that a run that failed in its first step starts like a new one."""
    pool, _ = _pool(optimizees_per_task=2)
    first = pool.arrays()
    _advance(pool, invalid=[0])
    pool.start()
    np.testing.assert_equal(pool.arrays(), first)


def test_initial_scale_is_log_uniform():
    """Half of the factors are below the geometric mean."""
    _, (objective,) = _pool(optimizees_per_task=1000, initial_scale=(0.5, 2.0))
    scales = np.array([scale for _, scale in objective.starts])
    assert scales.min() >= 0.5 and scales.max() <= 2.0
    np.testing.assert_allclose(np.mean(scales < 1.0), 0.5, atol=0.05)


def test_state_round_trip():
    """A restored pool goes on like the one that was saved."""
    one, _ = _pool(optimizees_per_task=3, seed=4)
    _advance(one, invalid=[1])
    other, _ = _pool(optimizees_per_task=3, seed=4)
    other.restore(one.arrays())
    for _ in range(60):
        _advance(one), _advance(other)
    np.testing.assert_equal(other.arrays(), one.arrays())
