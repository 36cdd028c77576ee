r"""Whether runs of 10,000 steps diverge, by presets that saw at most 2,000.

    python -m paper.checks.long_runs --tasks=mnist/mlp,mnist/mlp_relu

Each preset runs once told the length, and once not. Writes one row a record.
"""

import itertools

import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training

_TASKS = flags.DEFINE_list("tasks", ["mnist/mlp", "mnist/mlp_relu"], "Tasks.")
_PRESETS = flags.DEFINE_list("presets", None, "Presets or directories; default: all.")
_STEPS = flags.DEFINE_integer("steps", 10_000, "Number of steps.")
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")


def main():
    """Runs the check by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    presets = _PRESETS.value or sorted(lrlearn.LearnedOptimizer.presets)
    cases = list(itertools.product(_TASKS.value, presets))
    frame = pd.concat([run(*case) for case in tqdm(cases)], ignore_index=True)
    cli.write_table(output / "long_runs.csv", frame, origin)
    groups = frame.groupby(["task", "preset", "told"])
    summary = groups.agg(
        largest_train_loss=("train_loss", lambda loss: np.max(loss.fillna(np.inf))),
        train_loss=("train_loss", "last"),
        validation_accuracy=("validation_accuracy", "last"),
    )
    print(summary.round(4).to_string())


def run(name, preset):
    """Returns the records of a preset on a task, told the run's length and not."""
    task = lrlearn.tasks.load(name)
    training = Training(task, lrlearn.LearnedOptimizer.from_preset(preset))
    frames = []
    for told in (True, False):
        steps = _STEPS.value
        training.start([0], steps=steps if told else None)
        for step in range(steps // 10, steps + 1, steps // 10):
            training.train(step)
            (found,) = training.evaluate()
            names = {"task": name, "preset": preset, "told": told, "step": step}
            frames.append({**names, **found})
    return pd.DataFrame(frames)


if __name__ == "__main__":
    cli.run(main)
