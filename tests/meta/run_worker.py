"""One of several workers that meta-train together; for `test_distribution`."""

import sys

import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

import numpy as np  # noqa: E402

from lrlearn import MetaTrainer  # noqa: E402
from lrlearn.meta import GapFeedback  # noqa: E402
from tests.meta.problems import FAST, RULE, mlp  # noqa: E402


def _trainer():
    teacher = GapFeedback("sam", every=1)
    return MetaTrainer(RULE, [mlp()], teacher, strategy=STRATEGY, **FAST)


if __name__ == "__main__":
    directory, output = sys.argv[1:]
    _trainer().fit(2, directory, verbose=0)
    trainer = _trainer()
    trainer.fit(5, directory, verbose=0)  # three updates after the first
    (slot,) = trainer._pool.slots
    values = trainer._teaching.values
    assert np.isfinite(values).all() and values[0] != 1.0
    arrays = {**trainer.theta, "teacher": values}
    np.savez(output, replica=slot.replica, w=slot.optimizee.w, **arrays)
