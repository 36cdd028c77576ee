"""Flags that several programs share: tasks, their data, regularizers."""

from absl import flags

from binaries import cli

# The flags belong to the programs that define them here, and to their --help.
flags.disclaim_key_flags()

# As in lrlearn.regularizers and lrlearn.tasks, which take seconds to import.
_REGULARIZERS = ("none", "sam", "asam", "gsam", "gam", "l2")
_DATA = ("digits", "mnist", "fashion_mnist", "cifar10")
_NETWORKS = ("mlp", "mlp_relu", "mlp_tanh", "cnn")
_TASKS = tuple(f"{data}/{network}" for data in _DATA for network in _NETWORKS)


def define_task():
    """Defines --task, which `load` reads."""
    flags.DEFINE_enum("task", "digits/mlp", _TASKS, "Task: <data set>/<network>.")


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
    """Defines --batch_size, which `load` reads."""
    flags.DEFINE_integer("batch_size", 128, "Examples in a batch.", lower_bound=1)


def load(name=None):
    """Returns a `Task` as the flags ask for it.

    Args:
        name: Name of the task. Defaults to `None`: --task.
    """
    import lrlearn

    names = ("data_dir", "train_size", "label_noise", "batch_size")
    values = {each: flags.FLAGS[each].value for each in names if each in flags.FLAGS}
    return lrlearn.tasks.load(name or flags.FLAGS["task"].value, **values)


def define_regularizer(purpose):
    """Defines --regularizer and --regularizer_args, which `regularizer` reads.

    Args:
        purpose: What the regularizer is for, in a few words.
    """
    flags.DEFINE_enum("regularizer", "none", _REGULARIZERS, f"{purpose}.")
    flags.DEFINE_list(
        "regularizer_args", [], "Its arguments, e.g. rho=0.1 or rho=0.1,variant=hvp."
    )


def regularizer():
    """Returns the `Regularizer` of the flags, or `None` for none."""
    import lrlearn

    arguments = cli.parse_arguments(flags.FLAGS["regularizer_args"].value)
    if arguments and flags.FLAGS["regularizer"].value == "none":
        raise ValueError(
            "--regularizer_args needs --regularizer. Received: --regularizer=none"
        )
    return lrlearn.regularizers.get(flags.FLAGS["regularizer"].value, **arguments)
