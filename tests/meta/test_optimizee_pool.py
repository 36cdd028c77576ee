"""When optimizees start anew."""

import numpy as np
import pytest
import tensorflow as tf

from lrlearn.meta import MetaSettings, Replay
from lrlearn.meta.meta_objective import Optimizee
from lrlearn.meta.meta_problem import MetaProblem
from lrlearn.meta.optimizee_pool import OptimizeePool
from lrlearn.rules import Run
from tests.meta.problems import RULE


class _Objective:
    """Notes how its optimizees start."""

    def __init__(self):
        self.starts = []

    def start(self, start):
        self.starts.append(start)
        run = Run(*(tf.constant(float(x)) for x in (start.steps, 1.0, start.rho)))
        w = tf.constant([float(start.seed)])
        return Optimizee(w, tf.constant([start.factor]), [], {}, tf.constant(0), run)


def _pool(tasks=1, replicas=(0,), **settings):
    objectives = [_Objective() for _ in range(tasks)]
    problem = MetaProblem(RULE, objectives, None, Replay(), MetaSettings(**settings))
    pool = OptimizeePool(problem, replicas)
    pool.start()
    return pool, objectives


def _advance(pool, invalid=(), step=0):
    turn = pool.turn(step)
    optimizees = [[m.optimizee for m in slots] for slots in turn]
    valid = [[m.index not in invalid for m in ms] for ms in turn]
    return pool.advance(step, optimizees, valid)


def _assert_log_uniform(values, low, high):
    """Within the bounds, and as many in each quarter of the logarithms."""
    assert low <= min(values) and max(values) <= high
    logs = (np.log(values) - np.log(low)) / (np.log(high) - np.log(low))
    for quarter in (0.25, 0.5, 0.75):
        np.testing.assert_allclose(np.mean(logs < quarter), quarter, atol=0.05)


def test_horizons_are_log_uniform():
    """Within the bounds, whole unrolls, and as many below as above the middle."""
    pool, _ = _pool(horizon=(100, 1000))
    (slot,) = pool.slots
    horizons = []
    for _ in range(1000):
        pool.restart(slot)
        horizons.append(slot.steps_left)
    assert all(steps % 20 == 0 for steps in horizons)
    _assert_log_uniform(horizons, 100, 1000)


def test_starts_are_desynchronised():
    """The first horizons are spread from one unroll to the whole."""
    pool, (objective,) = _pool(optimizees_per_task=200, horizon=1000)
    first = [slot.steps_left for slot in pool.slots]
    assert [start.steps for start in objective.starts] == first
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
    assert len({start.seed for start in objective.starts}) == 2
    assert [start.steps for start in objective.starts][1] == 40


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
    seeds = [start.seed for objective in objectives for start in objective.starts]
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
    scales = [start.initial_scale for start in objective.starts]
    _assert_log_uniform(scales, 0.5, 2.0)


def test_dial():
    """A quarter of the settings are 0, the others log-uniform."""
    _, (objective,) = _pool(optimizees_per_task=1500, dial=(0.01, 0.3))
    rhos = np.array([start.rho for start in objective.starts])
    np.testing.assert_allclose(np.mean(rhos == 0.0), 0.25, atol=0.04)
    _assert_log_uniform(rhos[rhos > 0], 0.01, 0.3)
    _, (objective,) = _pool(optimizees_per_task=10)
    assert {start.rho for start in objective.starts} == {0.0}


def test_reparameterization():
    """One factor for all tensors together, and one for each."""
    settings = {"reparameterization": (3.0, 2.0)}
    _, (objective,) = _pool(optimizees_per_task=1000, **settings)
    _assert_log_uniform([start.factor for start in objective.starts], 1 / 3, 3.0)
    own = [start.factors(4) / start.factor for start in objective.starts]
    assert np.shape(own) == (1000, 4)
    _assert_log_uniform(np.ravel(own), 0.5, 2.0)
    assert abs(np.corrcoef(np.log(own).T)[0, 1]) < 0.1
    _, (objective,) = _pool(optimizees_per_task=3)
    for start in objective.starts:
        np.testing.assert_array_equal(start.factors(4), np.ones(4))


def _tasks(pool, step):
    turns = [[slot.task for slot in slots] for slots in pool.turn(step)]
    assert all(turn == turns[0] for turn in turns)
    return turns[0]


def test_tasks_take_turns():
    """Some at a time, in the same order in all replicas."""
    settings = {"tasks": 3, "replicas": (0, 1), "optimizees_per_task": 2}
    pool, _ = _pool(**settings, tasks_per_step=2)
    turns = [_tasks(pool, step) for step in range(4)]
    assert turns == [[0, 1, 0, 1], [0, 2, 0, 2], [1, 2, 1, 2], [0, 1, 0, 1]]
    pool, _ = _pool(**settings, tasks_per_step=1)
    assert [_tasks(pool, step) for step in range(3)] == [[0, 0], [1, 1], [2, 2]]
    for at_once in (None, 3, 7):
        pool, _ = _pool(**settings, tasks_per_step=at_once)
        assert all(_tasks(pool, s) == [0, 1, 2, 0, 1, 2] for s in range(3))


def test_advance_touches_only_those_whose_turn_it_is():
    """Others keep their optimizees and their steps."""
    pool, _ = _pool(tasks=3, optimizees_per_task=2, tasks_per_step=1, horizon=1000)
    for slot in pool.slots:
        slot.steps_left = 500
    before = [slot.optimizee for slot in pool.slots]
    assert _advance(pool, step=1, invalid=[4]) == 1
    assert [slot.episode for slot in pool.slots] == [0, 0, 0, 0, 1, 0]
    assert [slot.steps_left for slot in pool.slots if slot.task != 1] == 4 * [500]
    assert pool.slots[1].steps_left == 480
    assert pool.slots[4].optimizee is not before[4]
    for index in (0, 2, 3, 5):
        assert pool.slots[index].optimizee is before[index]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "tasks": 2,
            "tasks_per_step": 1,
            "dial": (0.01, 0.3),
            "reparameterization": (3.0, 2.0),
        },
    ],
    ids=["plain", "turns, dial and factors"],
)
def test_state_round_trip(settings):
    """A restored pool goes on like the one that was saved."""
    settings = {"optimizees_per_task": 3, "seed": 4, **settings}
    one, _ = _pool(**settings)
    _advance(one, invalid=[1])
    other, _ = _pool(**settings)
    other.restore(one.arrays())
    for step in range(1, 61):
        _advance(one, step=step), _advance(other, step=step)
    np.testing.assert_equal(other.arrays(), one.arrays())
