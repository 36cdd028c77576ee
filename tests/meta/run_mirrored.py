"""Meta-trains on two logical CPUs; for `test_distribution`, in a process of its own."""

import sys

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from lrlearn import MetaTrainer  # noqa: E402
from lrlearn.meta import Replay  # noqa: E402
from lrlearn.meta.unroll import fold_in  # noqa: E402
from tests.meta.problems import FAST, RULE, flat, mlp, objective  # noqa: E402

STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def _trainer(**changes):
    settings = {**FAST, "validation_every": None, "optimizees_per_task": 2, **changes}
    return MetaTrainer(RULE, [mlp()], strategy=STRATEGY, **settings)


def check_meta_gradient():
    """A plain gradient step of size 1 is the mean over all four optimizees."""
    plain = {"meta_optimizer": keras.optimizers.SGD(1.0), "ema_decay": 0.0}
    trainer = _trainer(**plain, jit_compile=True)
    pool = trainer._pool
    assert [[s.replica for s in slots] for slots in pool.replicas] == [[0, 0], [1, 1]]
    theta = {k: tf.constant(v) for k, v in RULE.init_theta(0).items()}
    pool.start()
    starts = [slot.optimizee for slot in pool.slots]
    assert len({start.w.numpy().tobytes() for start in starts}) == 4
    gradients = []
    for slot in pool.slots:
        seed = fold_in(tf.constant([0, 0]), 0, slot.replica, slot.index)
        estimate = Replay().estimate(
            objective(mlp()), theta, slot.optimizee, seed, FAST["unroll"]
        )
        gradients.append(flat(estimate.gradient))
    trainer.fit(1, verbose=0)
    moved = flat(theta) - flat(trainer.theta)
    np.testing.assert_allclose(moved, np.mean(gradients, axis=0), rtol=1e-3, atol=1e-6)


def check_resume(directory):
    """Bit for bit."""
    uninterrupted = _trainer()
    uninterrupted.fit(4, verbose=0)
    _trainer().fit(2, directory, verbose=0)
    resumed = _trainer()
    resumed.fit(4, directory, verbose=0)
    np.testing.assert_array_equal(flat(resumed.theta), flat(uninterrupted.theta))
    assert resumed.history.frame().equals(uninterrupted.history.frame())
    (graph,) = resumed._meta_step._graphs.values()
    assert graph.experimental_get_tracing_count() == 1


def check_scope():
    """Refused where it would go wrong later."""
    with STRATEGY.scope():
        try:
            _trainer()
        except ValueError as error:
            assert "outside `strategy.scope()`" in str(error)
        else:
            raise AssertionError


if __name__ == "__main__":
    check_meta_gradient()
    check_resume(sys.argv[1])
    check_scope()
    print("done")
