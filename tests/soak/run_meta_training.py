"""Meta-trains in a directory, with a checkpoint after every meta-step.

With a further argument, the disk is full after so many meta-steps.
"""

import resource
import sys

import keras

import lrlearn
from tests.meta.problems import ADAM_RULE, FAST, mlp

STEPS = 60


class _FullDisk(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self._step = step

    def on_train_batch_end(self, batch, logs=None):
        if logs["step"] == self._step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def main(directory, full_after=0):
    trainer = lrlearn.MetaTrainer(ADAM_RULE, [mlp()], **FAST)
    full = _FullDisk(int(full_after))
    trainer.fit(STEPS, directory, checkpoint_every=1, callbacks=full, verbose=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
