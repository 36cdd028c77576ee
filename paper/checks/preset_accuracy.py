r"""Accuracy of every preset on MNIST beside Adam, at its default and tuned.

    python -m paper.checks.preset_accuracy --tasks=mnist/mlp
    python -m paper.checks.preset_accuracy --tasks=mnist/mlp,mnist/mlp_relu \
        --train_size=1000 --label_noise=0.2 --batch_size=64 --name=preset_accuracy_small

Writes a CSV file with one row a run and record, and prints means over seeds.
"""

import keras
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training, summarize, tune_learning_rate

_TASKS = flags.DEFINE_list("tasks", ["mnist/mlp"], "Tasks.")
_PRESETS = flags.DEFINE_list("presets", None, "Presets or directories; default: all.")
_TRAIN_SIZE = flags.DEFINE_integer("train_size", None, "Training examples.")
_LABEL_NOISE = flags.DEFINE_float("label_noise", 0.0, "Fraction of wrong labels.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Batch size.")
_STEPS = flags.DEFINE_list("steps", ["200", "1000"], "Steps at which to evaluate.")
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of seeds.")
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")
_NAME = flags.DEFINE_string("name", "preset_accuracy", "Name of the files.")

_DEFAULT_RATE = 0.001  # Keras's
_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
_TUNING_SEEDS = (1000, 1001)


def main():
    """Runs the benchmark by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    presets = _PRESETS.value or sorted(lrlearn.LearnedOptimizer.presets)
    steps = cli.numbers(_STEPS, int)
    rows = []
    for name in _TASKS.value:
        task = lrlearn.tasks.load(
            name,
            train_size=_TRAIN_SIZE.value,
            label_noise=_LABEL_NOISE.value,
            batch_size=_BATCH_SIZE.value,
        )
        rows += _adam(task, steps)
        for preset in tqdm(presets, desc=name, unit="preset"):
            optimizer = lrlearn.LearnedOptimizer.from_preset(preset)
            rows += _runs(task, preset, Training(task, optimizer), steps)
    frame = pd.concat(rows, ignore_index=True)
    cli.write_table(output / f"{_NAME.value}.csv", frame, origin)
    metrics = ["validation_accuracy", "test_accuracy", "train_loss"]
    summary = summarize(frame, ["task", "step", "optimizer"], metrics)
    print(summary.round(4).to_string())


def _adam(task, steps):
    """Adam at its default learning rate, and tuned for each number of steps."""
    training = Training(task, keras.optimizers.Adam())
    rows = _runs(task, "adam_default", training, steps, _DEFAULT_RATE)
    for number in steps:
        rate, _ = tune_learning_rate(training, _RATES, number, _TUNING_SEEDS)
        rows += _runs(task, "adam", training, [number], rate)
    return rows


def _runs(task, name, training, steps, rate=None):
    keys = {"task": task.name, "optimizer": name, "learning_rate": rate}
    tables = [training.run(number, range(_SEEDS.value), rate) for number in steps]
    return [table[table["step"] > 0].assign(**keys) for table in tables]


if __name__ == "__main__":
    cli.run(main)
