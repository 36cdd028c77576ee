r"""Chooses the default of a dial, on validation data of images of meta-training.

    python -m paper.checks.dial_default \
        --presets=paper/results/presets/lo_sam-0,paper/results/presets/lo_sam-1

Trains tasks with settings of the dial, for several lengths, and writes a table for each
preset, one row a run; a preset that has its table is not run again. The tasks are those
of the grid with the same images as in meta-training (MLPs), which are of a size that
people use, and those of meta-training, which are smaller and want less of a teacher.

The default is 0 up to a number of epochs, and from a larger one on its largest setting:
those three numbers are chosen for each teacher by the mean validation accuracy at the
end, over its meta-seeds, tasks of the grid and lengths, linear between the settings
that were run. What the tasks of meta-training would choose is printed besides.
"""

import itertools
import pathlib

import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training
from lrlearn.rules.run import DialDefault
from lrlearn.tasks import load_collection
from paper.grid.grid import GRIDS, MetaTraining
from paper.grid.meta_training import load_task

_PRESETS = flags.DEFINE_list(
    "presets",
    None,
    "Directories of presets, named by teacher and meta-seed as lo_sam-0 is.",
    required=True,
)
_GRID_TASKS = {str(task): task for task in GRIDS["full"].tasks()}
_SEEN_MLPS = [
    name
    for name, task in _GRID_TASKS.items()
    if MetaTraining().saw(task) and task.network != "cnn"
]
_COLLECTION = flags.DEFINE_string("collection", "small_images", "Tasks.")
_TASKS = flags.DEFINE_list("tasks", _SEEN_MLPS, "Tasks of the grid besides.")
flags.register_validator(
    "tasks",
    lambda names: set(names) <= set(_GRID_TASKS),
    f"--tasks must be of {', '.join(_GRID_TASKS)}.",
)
_SETTINGS = flags.DEFINE_list(
    "settings",
    ["0", "0.01", "0.02", "0.035", "0.05", "0.075", "0.1", "0.15", "0.2"],
    "Of the dial.",
)
_STEPS = flags.DEFINE_list("steps", ["200", "700", "2000"], "Lengths of the runs.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Number of seeds.")
_OUTPUT = flags.DEFINE_string("output", "runs/dial_default", "Directory.")

_KEYS = ["task", "steps", "epochs", "rho"]
_FIRST, _LAST = (1, 2, 5, 10, 20), (10, 20, 50, 100)


def main():
    """Runs the check by the flags."""
    paths = _paths()
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    steps, settings = cli.numbers(_STEPS, int), cli.numbers(_SETTINGS)
    tasks = {task.name: task for task in load_collection(_COLLECTION.value)}
    tasks |= {name: load_task(_GRID_TASKS[name]) for name in _TASKS.value}
    for path in paths:
        table = output / f"{path.name}.csv"
        if not table.exists():
            cases = tqdm(tasks.items(), desc=path.name, unit="task")
            runs = pd.DataFrame(
                row for case in cases for row in _runs(path, *case, steps, settings)
            )
            cli.write_table(table, runs, origin, "%.6g")
    for teacher, runs in by_teacher(output).items():
        groups = np.where(runs["task"].isin(_GRID_TASKS), "the grid", "meta-training")
        for group, found in runs.groupby(groups, sort=False):
            best = candidates(found).head(8).round(4).to_string(index=False)
            print(f"\n{teacher}, tasks of {group}\n{best}")


def _paths():
    """Returns the directories of the presets."""
    paths = [pathlib.Path(preset) for preset in _PRESETS.value]
    unnamed = [str(path) for path in paths if "-" not in path.name]
    if unnamed:
        raise ValueError(
            f"Presets must be named as lo_sam-0 is. Received: --presets={unnamed}"
        )
    return paths


def by_teacher(directory):
    """Returns the runs of all meta-seeds of each teacher, frames by its name."""
    frames = {}
    for path in sorted(directory.glob("*.csv")):
        frames.setdefault(path.stem.rpartition("-")[0], []).append(pd.read_csv(path))
    return {name: pd.concat(found) for name, found in frames.items()}


def candidates(runs):
    """Returns defaults with their mean validation accuracy, the best first.

    Args:
        runs: A frame of `task`, `steps`, `epochs`, `rho` and `validation_accuracy`.
    """
    means = runs.groupby(_KEYS)["validation_accuracy"].mean().unstack("rho")
    epochs = means.index.get_level_values("epochs")
    rows = []
    for first, last, most in itertools.product(_FIRST, _LAST, means.columns):
        if first < last:
            default = DialDefault([(first, 0.0), (last, most)])
            scores = [
                np.interp(float(default(e)), means.columns, accuracies)
                for e, accuracies in zip(epochs, means.to_numpy(), strict=True)
            ]
            rows.append((first, last, most, np.mean(scores)))
    columns = ["0 up to epochs", "from epochs", "setting", "validation_accuracy"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("validation_accuracy", ascending=False)


def _runs(preset, name, task, lengths, settings):
    """Yields the end of each run, a dict."""
    optimizer = lrlearn.LearnedOptimizer.from_preset(preset, guard=False)
    training = Training(task, optimizer, count=_SEEDS.value)
    seeds = list(range(_SEEDS.value))
    for steps, rho in itertools.product(lengths, settings):
        training.start(seeds, steps=steps)
        optimizer.rho = rho
        training.train(steps)
        names = {"task": name, "steps": steps}
        names |= {"epochs": optimizer.epochs, "rho": rho}
        for seed, end in zip(seeds, training.evaluate(), strict=True):
            yield {**names, "seed": seed, **end}


if __name__ == "__main__":
    cli.run(main)
