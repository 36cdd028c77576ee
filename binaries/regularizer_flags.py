"""Flags of programs that use a regularizer."""

from absl import flags

import lrlearn
from binaries import cli

# The flags belong to the programs that define them here, and to their --help.
flags.disclaim_key_flags()


def define(purpose):
    """Defines --regularizer and --regularizer_args, which `get` reads.

    Args:
        purpose: What the regularizer is for, in a few words.
    """
    flags.DEFINE_enum(
        "regularizer", "none", lrlearn.regularizers.names(), f"{purpose}."
    )
    flags.DEFINE_list(
        "regularizer_args", [], "Its arguments, e.g. rho=0.1 or rho=0.1,variant=hvp."
    )


def get():
    """Returns the `Regularizer` of the flags, or `None` for none."""
    arguments = cli.parse_arguments(flags.FLAGS["regularizer_args"].value)
    return lrlearn.regularizers.get(flags.FLAGS["regularizer"].value, **arguments)
