"""Flags of programs that measure saved models on the data of a task."""

import os
import pathlib
import warnings

from absl import flags

from binaries import shared_flags

# The flags belong to the programs that define them here, and to their --help.
flags.disclaim_key_flags()


def define():
    """Defines --model, --split, --examples and the flags of a task."""
    flags.DEFINE_list(
        "model", None, "Saved models, .keras files, comma-separated.", required=True
    )
    flags.register_validator(
        "model", lambda paths: paths != [], "--model must name a .keras file."
    )
    flags.DEFINE_enum(
        "split", "train", ["train", "validation", "test"], "Data that the loss is of."
    )
    flags.DEFINE_integer(
        "examples", 1024, "How many of them, from the first on.", lower_bound=1
    )
    shared_flags.define_task()
    shared_flags.define_data()


def load():
    """Returns the task, its inputs, its targets, and the compiled models by path."""
    task, examples = shared_flags.load(), flags.FLAGS.examples
    x, y = (array[:examples] for array in getattr(task, flags.FLAGS.split))
    return task, x, y, {path: _load(path, task, x, y) for path in flags.FLAGS.model}


def labels():
    """Returns the models' paths, less the folders that they share."""
    paths = {path: os.path.abspath(path) for path in flags.FLAGS.model}
    common = os.path.commonpath([os.path.dirname(path) for path in paths.values()])
    return {path: os.path.relpath(paths[path], common) for path in paths}


def _load(path, task, x, y):
    import keras

    if not pathlib.Path(path).is_file():
        raise ValueError(f"--model must be a .keras file. Received: {path} (not there)")
    try:
        with warnings.catch_warnings():
            # Keras warns if the optimizer is incomplete; it is not used here.
            warnings.simplefilter("ignore")
            model = keras.models.load_model(path)
    except Exception as error:  # any, of a damaged file
        raise ValueError(f"--model={path} cannot be read: {error}") from None
    _check_fit(path, model, task, x, y)
    if not model.loss:
        model.compile(loss=task.loss)
    return model


def _check_fit(path, model, task, x, y):
    import keras

    try:
        outputs = model(x[:1])
    except Exception:  # any, of other inputs
        shape = getattr(model, "input_shape", "not known")
        raise ValueError(
            f"--model must take inputs of task {task.name}, of shape {x.shape[1:]}. "
            f"Received: {path}, whose input_shape is {shape}"
        ) from None
    shapes = keras.tree.map_structure(lambda a: tuple(a.shape[1:]), outputs)
    is_one = not keras.tree.is_nested(outputs) and outputs.ndim == 2
    if not is_one or outputs.shape[1] <= y.max():
        raise ValueError(
            f"--model must have an output for each class of task {task.name}. "
            f"Received: {path}, outputs of shape {shapes}"
        )
