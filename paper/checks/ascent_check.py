"""Compares the cheap search for sharp points with the thorough one.

    python -m paper.checks.ascent_check

Trains networks on 1,000 images with 20 % wrong labels, and compares `StackedSharpness`
with `SharpnessEvaluator`. Writes `ascent_check.csv`, one row a run, number of steps and
ball, its ratios cheap to thorough, and `ascent_check.json` (command, commit, versions).
"""

import keras
import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import SharpnessEvaluator, Training
from lrlearn.evaluation.stacked_sharpness import RADII, StackedSharpness
from paper.grid.optimizers import LEARNED

_SEEDS = flags.DEFINE_integer("seeds", 3, "Number of seeds.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")

_TASKS = ("mnist/mlp", "mnist/mlp_relu")
_TRAINING_STEPS = 500
_STEPS = (3, 5, 10, 20)
# With a teacher and without, as in the flatness ratios of the grid.
_LEARNED = ("MLP none", "MLP SAM")
_KEYS = ["task", "optimizer", "seed", "ball", "radius"]
_MAXIMA = ["increase", "max_gradient_norm"]


def main():
    """Trains, measures and writes by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    frame = pd.concat([_ratios(name) for name in _TASKS], ignore_index=True)
    cli.write_table(output / "ascent_check.csv", frame, origin, "%.6g")
    columns = [f"{name}_ratio" for name in _MAXIMA]
    groups = frame.groupby(["steps", "ball", "radius"], sort=False)[columns]
    print(groups.agg(["median", "min"]).round(3).to_string())


def _ratios(name):
    """Returns a row for each run of a task, number of steps and ball."""
    task = lrlearn.tasks.load(name, train_size=1000, label_noise=0.2, batch_size=64)
    runs = _trained(task)

    def loss_fn(params, state):
        return task.evaluate_loss(params, state, *task.train)[0]

    thorough = _thorough(loss_fn, runs)
    frames = []
    for steps in tqdm(_STEPS, desc=name, unit="number of steps"):
        cheap = _cheap(loss_fn, runs, steps).merge(
            thorough, on=_KEYS, suffixes=("", "_thorough"), validate="one_to_one"
        )
        for column in _MAXIMA:
            cheap[f"{column}_ratio"] = cheap[column] / cheap[f"{column}_thorough"]
        frames.append(cheap)
    return pd.concat(frames)


def _trained(task):
    """Returns parameters and state by `(task, optimizer, seed)`."""
    optimizers = {"Adam": keras.optimizers.Adam(0.01)}
    for name in _LEARNED:
        preset = LEARNED[name].preset
        optimizers[name] = lrlearn.LearnedOptimizer.from_preset(preset, guard=False)
    runs = {}
    for name, optimizer in optimizers.items():
        training = Training(task, optimizer)
        for seed in range(_SEEDS.value):
            training.run(_TRAINING_STEPS, seed)
            model = training.model
            variables = task.variables(model)
            runs[task.name, name, seed] = [[v.numpy() for v in vs] for vs in variables]
    return runs


def _cheap(loss_fn, runs, steps):
    params, state = (
        [np.stack(values) for values in zip(*lists, strict=True)]
        for lists in zip(*runs.values(), strict=True)
    )
    measured = StackedSharpness(loss_fn, **RADII, steps=steps)(params, state)
    return pd.DataFrame(
        {**dict(zip(_KEYS, run, strict=False)), "steps": steps}
        | {column: row[column] for column in [*_KEYS[3:], *_MAXIMA]}
        for run, rows in zip(runs, measured, strict=True)
        for row in rows
    )


def _thorough(loss_fn, runs):
    evaluators = {
        kind: SharpnessEvaluator(loss_fn, adaptive=kind == "adaptive")
        for kind in ("fixed", "adaptive")
    }
    evaluators["relative"] = evaluators["fixed"]
    frames = []
    for run, (params, state) in tqdm(runs.items(), unit="run"):
        for kind, radii in RADII.items():
            table = evaluators[kind](
                params, state, radii=radii, relative=kind == "relative"
            )
            keys = {**dict(zip(_KEYS, run, strict=False)), "ball": kind}
            frames.append(table.assign(**keys)[[*_KEYS, *_MAXIMA]])
    return pd.concat(frames)


if __name__ == "__main__":
    cli.run(main)
