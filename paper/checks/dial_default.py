r"""Chooses the default of a dial, on validation data of the tasks of meta-training.

    python -m paper.checks.dial_default --presets=runs/presets/lo_sam-2/preset

Trains the tasks with settings of the dial, for several lengths, and writes one row a
run. The default is 0 up to a number of epochs, and from a larger one on its largest
setting: those three numbers are chosen by the mean validation accuracy at the end, over
tasks and lengths, linear between the settings that were run.
"""

import itertools
import json

import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training
from lrlearn.rules.run import DialDefault

_PRESETS = flags.DEFINE_list(
    "presets", None, "Presets or their directories.", required=True
)
_COLLECTION = flags.DEFINE_string("collection", "small_images", "The tasks.")
_SETTINGS = flags.DEFINE_list(
    "settings", ["0", "0.01", "0.02", "0.035", "0.05", "0.075", "0.1"], "Of the dial."
)
_STEPS = flags.DEFINE_list("steps", ["200", "700", "2000"], "Lengths of the runs.")
_SEEDS = flags.DEFINE_integer("seeds", 2, "Number of seeds.")
_OUTPUT = flags.DEFINE_string("output", "paper/results", "Output directory.")

_KEYS = ["task", "steps", "epochs", "rho"]
_FIRST, _LAST = (1, 2, 5, 10, 20), (10, 20, 50, 100)


def main():
    """Runs the check by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    provenance = json.dumps(cli.provenance(), indent=2)
    tasks = lrlearn.tasks.load_collection(_COLLECTION.value)
    cases = list(itertools.product(_PRESETS.value, tasks))
    rows = [row for case in tqdm(cases, unit="task") for row in _runs(*case)]
    frame = pd.DataFrame(rows)
    frame.to_csv(output / "dial_default.csv", index=False)
    (output / "dial_default.json").write_text(provenance + "\n")
    for preset, found in frame.groupby("preset"):
        best = candidates(found).head(8).round(4)
        print(f"\n{preset}\n{best.to_string(index=False)}")


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


def _runs(preset, task):
    """Yields the end of each run, a dict."""
    optimizer = lrlearn.LearnedOptimizer.from_preset(preset)
    training = Training(task, optimizer, count=_SEEDS.value)
    seeds = list(range(_SEEDS.value))
    for steps, rho in itertools.product(_STEPS.value, _SETTINGS.value):
        steps = int(steps)
        training.start(seeds, steps=steps)
        optimizer.rho = float(rho)
        training.train(steps)
        names = {"preset": preset, "task": task.name, "steps": steps}
        names |= {"epochs": optimizer.epochs, "rho": float(rho)}
        for seed, end in zip(seeds, training.evaluate(), strict=True):
            yield {**names, "seed": seed, **end}


if __name__ == "__main__":
    cli.run(main)
