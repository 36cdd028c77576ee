"""Meta-trains in a directory, with a checkpoint after every meta-step."""

import sys

import lrlearn
from tests.meta.problems import ADAM_RULE, FAST, mlp

STEPS = 60


def main(directory):
    trainer = lrlearn.MetaTrainer(ADAM_RULE, [mlp()], **FAST)
    trainer.fit(STEPS, directory, checkpoint_every=1, verbose=0)


if __name__ == "__main__":
    main(sys.argv[1])
