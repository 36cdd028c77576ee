"""Flags of programs that load tasks."""

from absl import flags

import lrlearn

# The flags belong to the programs that define them here, and to their --help.
flags.disclaim_key_flags()


def define_task():
    """Defines --task and returns its holder."""
    return flags.DEFINE_enum(
        "task", "digits/mlp", lrlearn.tasks.names(), "Task: <data set>/<network>."
    )


def define_data():
    """Defines --data_dir, --train_size and --label_noise, which `load` reads."""
    flags.DEFINE_string(
        "data_dir", None, "Folder of TensorFlow Datasets; default: $TFDS_DATA_DIR."
    )
    flags.DEFINE_integer(
        "train_size", None, "Training examples of a task; default: all.", lower_bound=1
    )
    flags.DEFINE_float(
        "label_noise", 0.0, "Fraction of training labels made wrong, in [0, 1)."
    )


def define_batch_size():
    """Defines --batch_size and returns its holder."""
    return flags.DEFINE_integer(
        "batch_size", 128, "Examples in a batch.", lower_bound=1
    )


def data_options():
    """Returns the flags of `define_data` as a dict of arguments of `tasks.load`."""
    names = ("data_dir", "train_size", "label_noise")
    return {name: flags.FLAGS[name].value for name in names}
