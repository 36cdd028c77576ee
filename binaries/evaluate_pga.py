r"""Measures how flat the minima are that saved models lie in.

    python -m binaries.evaluate_pga --model=runs/train/model.keras --task=digits/mlp
    python -m binaries.evaluate_pga --model=adam.keras,sam.keras --split=test

For each radius, projected gradient ascent (PGA) looks for the largest loss within that
distance of the weights. Prints a table and writes `pga.csv`, `pga.png` and `pga.json`
(settings and versions).
"""

import json
import os
import pathlib
import warnings

import keras
import matplotlib
import pandas as pd
import tensorflow as tf
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli, task_flags
from lrlearn import plots
from lrlearn.evaluation import sharpness

matplotlib.use("Agg")
# Registers it with Keras, for models that were trained with it.
_ = lrlearn.LearnedOptimizer

_MODEL = flags.DEFINE_list(
    "model", None, "Saved models, .keras files, comma-separated.", required=True
)
_TASK = task_flags.define_task()
task_flags.define_data()
_SPLIT = flags.DEFINE_enum(
    "split", "train", ["train", "validation", "test"], "Data that the loss is of."
)
_EXAMPLES = flags.DEFINE_integer(
    "examples", 1024, "How many of them, from the first on.", lower_bound=1
)
_RADII = flags.DEFINE_list(
    "radii", ["0.001", "0.005", "0.05", "0.1"], "Largest L2 distances of the weights."
)
_RELATIVE = flags.DEFINE_bool(
    "relative", False, "Multiply the radii by the L2 norm of the weights."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the searches.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", "runs/pga", "Output directory.")


def main():
    """Measures by the flags."""
    radii = cli.numbers(_RADII)
    task = lrlearn.tasks.load(_TASK.value, **task_flags.data_options())
    x, y = (a[: _EXAMPLES.value] for a in getattr(task, _SPLIT.value))
    models = {path: _load(path, task, x, y) for path in _MODEL.value}
    output = cli.output_directory(_OUTPUT.value)
    frames = []
    for path, model in tqdm(models.items(), desc="PGA", unit="model"):
        frame = sharpness(model, x, y, radii, _RELATIVE.value, seed=_SEED.value)
        frame.insert(0, "model", path)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    _write(frame, output)
    print(f"\n{len(x)} {_SPLIT.value} examples of {task.name}:\n")
    print(frame.to_string(index=False, float_format="{:.4g}".format))
    print(f"\nWritten: {output}/\n  pga.csv, pga.png, pga.json")


def _load(path, task, x, y):
    """Returns the model of a file, if it fits the data."""
    if not pathlib.Path(path).is_file():
        raise ValueError(f"--model must be a .keras file. Received: {path} (not there)")
    try:
        with warnings.catch_warnings():
            # Keras warns where the optimizer is incomplete; it is not used here.
            warnings.simplefilter("ignore")
            model = keras.models.load_model(path)
    except Exception as error:  # whatever a damaged file leads to
        raise ValueError(f"--model={path} cannot be read: {error}") from None
    try:
        outputs = model(x[:1])
    except (ValueError, TypeError, tf.errors.OpError):
        raise ValueError(
            f"--model must take inputs of task {task.name}, of shape {x.shape[1:]}. "
            f"Received: {path}, which takes {model.input_shape[1:]}"
        ) from None
    if outputs.ndim != 2 or outputs.shape[1] <= y.max():
        raise ValueError(
            f"--model must have an output for each class of task {task.name}. "
            f"Received: {path}, outputs of shape {tuple(outputs.shape[1:])}"
        )
    if not model.loss:
        model.compile(loss=task.loss)
    return model


def _write(frame, output):
    frame.to_csv(output / "pga.csv", index=False)
    provenance = json.dumps(cli.provenance(), indent=2)
    (output / "pga.json").write_text(provenance + "\n")
    lines = frame.assign(
        optimizer=frame["model"].map(_labels()), network=_TASK.value, seed=0
    )
    figure = plots.sharpness_by_radius(lines)
    if _RELATIVE.value:
        figure.axes[0].set_xlabel("Radius / norm of the weights")
    figure.savefig(output / "pga.png", dpi=150)


def _labels():
    """Returns the models' paths, less the folders that they share."""
    paths = {path: os.path.abspath(path) for path in _MODEL.value}
    common = os.path.commonpath([os.path.dirname(path) for path in paths.values()])
    return {path: os.path.relpath(paths[path], common) for path in paths}


if __name__ == "__main__":
    cli.run(main)
