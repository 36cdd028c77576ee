"""One of two workers that train together; for `test_distribution`."""

import sys

import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from lrlearn import LearnedOptimizer  # noqa: E402
from tests.optimizers.conftest import GRADIENTS, RULES, W  # noqa: E402


def train():
    """Returns the weights after steps in a loop of one's own."""
    rule = RULES["mlp"]
    with STRATEGY.scope():
        variable = keras.Variable(W)
        optimizer = LearnedOptimizer(rule, rule.init_theta(seed=1))
        optimizer.build([variable])

    @tf.function
    def step(g):
        def apply():
            share = tf.distribute.get_replica_context().replica_id_in_sync_group
            optimizer.apply([tf.where(share == 0, 0.25, 0.75) * g], [variable])

        STRATEGY.run(apply)

    for g in GRADIENTS:
        step(tf.constant(g))
    return variable.numpy()


def fit_fails():
    """Returns whether Keras's `fit` fails with Adam too (keras issue 20585)."""
    with STRATEGY.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
    try:
        model.fit(GRADIENTS, GRADIENTS[:, :1], verbose=0)
    except Exception as error:
        print(type(error).__name__, error)
        return True
    return False


if __name__ == "__main__":
    np.savez(sys.argv[1], w=train(), fit_fails=fit_fails())
