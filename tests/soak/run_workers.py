"""One of several workers that meta-train together with PES, each with two pairs.

A checkpoint after every meta-step.
"""

import sys

import tensorflow as tf

STRATEGY = tf.distribute.MultiWorkerMirroredStrategy()

from binaries import cli  # noqa: E402
from lrlearn import MetaTrainer  # noqa: E402
from tests.meta.problems import ADAM_RULE, FAST, mlp  # noqa: E402


def _main(directory, steps):
    trainer = MetaTrainer(
        ADAM_RULE,
        [mlp()],
        estimator="pes",
        strategy=STRATEGY,
        **{**FAST, "optimizees_per_task": 2},
    )
    trainer.fit(int(steps), directory, checkpoint_every=1, verbose=0)


if __name__ == "__main__":
    directory, steps = sys.argv[1:]
    sys.argv = sys.argv[:1]
    cli.run(lambda: _main(directory, steps))
