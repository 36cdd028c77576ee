r"""Untuned presets beside Adam on tasks that are no image classification.

    python -m paper.checks.transfer
    python -m paper.checks.transfer --tasks=topics/gru --optimizers=adam --steps=99

Adam runs at its default, `adam`, and with cosine decay from the learning rate of the
best validation accuracy or loss, `adam_tuned`. Presets are told the length, and nothing
else. Writes one row a run, and goes on where it stopped.
"""

import math

import keras
import pandas as pd
import tensorflow as tf
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training, summarize, tune_learning_rate

# Together under an hour of one core; the text is read less than three times.
_DEFAULT_STEPS = {
    "diabetes/mlp": 500,
    "digits/autoencoder": 1000,
    "cartpole/mlp": 200,
    "topics/gru": 500,
    "topics/transformer": 500,
}
_TASKS = flags.DEFINE_list("tasks", [*_DEFAULT_STEPS], "Tasks.")
flags.register_validator(
    "tasks",
    lambda names: set(names) <= set(_DEFAULT_STEPS),
    f"--tasks must be of {', '.join(_DEFAULT_STEPS)}.",
)
_ADAMS = ["adam", "adam_tuned"]
_PRESETS = ["lo_none", "lo_sam", "lo_gsam", "lo_gam", "lo_lstm_sam"]
_OPTIMIZERS = flags.DEFINE_list(
    "optimizers", [*_ADAMS, *_PRESETS], "adam, adam_tuned, presets or directories."
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Number of steps; default: 200 to 1,000, by task.", lower_bound=1
)
_SEEDS = flags.DEFINE_integer("seeds", 5, "Number of seeds.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")
_NAME = flags.DEFINE_string("name", "transfer", "Name of the files.")

_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
_TUNING_SEEDS = (1000, 1001)
_KEYS = ["task", "steps", "optimizer", "seed"]


class CosineDecay(keras.optimizers.schedules.LearningRateSchedule):
    r"""A learning rate that falls to 0: $\eta_t = \eta_0 (1 + \cos(\pi t / T)) / 2$.

    Args:
        steps: Number $T$ of steps.

    Attributes:
        peak: $\eta_0$, a variable, so that one graph serves all rates.
    """

    def __init__(self, steps):
        self.peak, self.steps = tf.Variable(0.0), steps

    def __call__(self, step):
        """Returns the learning rate of a step, counted from 0."""
        done = tf.cast(step, "float32") / self.steps
        return self.peak * (1.0 + tf.cos(math.pi * done)) / 2.0


class DecayedTraining(Training):
    """A `Training` by Adam with cosine decay; see there."""

    def __init__(self, task, steps):
        self._schedule = CosineDecay(steps)
        super().__init__(task, keras.optimizers.Adam(self._schedule))

    def run(self, steps, seeds, learning_rate=None, record_every=None):
        """See `Training`; the learning rate is the one at the start."""
        if learning_rate is not None:
            self._schedule.peak.assign(learning_rate)
        return super().run(steps, seeds, record_every=record_every)


def main():
    """Runs the check by the flags."""
    output = cli.output_directory(_OUTPUT.value) / f"{_NAME.value}.csv"
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    frame = pd.read_csv(output) if output.exists() else pd.DataFrame(columns=_KEYS)
    jobs = [(task, o) for task in _TASKS.value for o in _OPTIMIZERS.value]
    for name, optimizer in tqdm(jobs):
        steps = _STEPS.value or _DEFAULT_STEPS[name]
        seeds = missing_seeds(frame, name, steps, optimizer, _SEEDS.value)
        if seeds:
            found = _runs(name, steps, optimizer, seeds)
            found = found.assign(commit=origin["commit"])
            frame = pd.concat([frame, found] if len(frame) else [found])
            cli.write_table(output, frame, origin, "%.6g")
    for column in ("test_metric", "test_loss", "cpu_seconds"):
        print(f"\n{column}\n\n{markdown(table(frame, column))}")


def missing_seeds(frame, task, steps, optimizer, count):
    """Returns the seeds from 0 to `count` of which a frame has no run.

    Args:
        frame: One row a run: `task`, `steps`, `optimizer` and `seed`.
        task: Name of the task.
        steps: Number of steps.
        optimizer: Name of the optimizer.
        count: Number of seeds.
    """
    runs = frame.set_index(_KEYS).index
    return [s for s in range(count) if (task, steps, optimizer, s) not in runs]


def table(frame, column):
    """Returns means and half of their 95 % intervals over seeds, as text.

    Args:
        frame: One row a run: `task`, `steps`, `optimizer` and numbers.
        column: The column to show.

    Returns:
        A frame with optimizers as rows and tasks, with their steps, as columns.
    """
    found = summarize(frame, _KEYS[:-1], [column])[column]
    text = [_text(*row) for row in found[["mean", "interval"]].to_numpy()]
    found = found.assign(text=text).reset_index()
    found["task"] = found["task"] + ", " + found["steps"].astype(str) + " steps"
    shown = found.pivot(index="optimizer", columns="task", values="text")
    return shown.loc[found["optimizer"].unique(), found["task"].unique()]


def markdown(table):
    """Returns a frame of text as a table in Markdown."""
    rows = [["optimizer", *table.columns], ["---"] * (table.shape[1] + 1)]
    rows += [[f"`{name}`", *row] for name, *row in table.itertuples()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _text(mean, interval):
    """Returns `mean ± interval` with at least four digits of the mean."""
    digits = 1 if abs(mean) >= 100 else 2 if abs(mean) >= 10 else 3
    return f"{mean:.{digits}f} ± {interval:.{digits}f}"


def _runs(name, steps, optimizer, seeds):
    """Returns one row a seed: what was reached at the end."""
    task, rate = lrlearn.tasks.load(name), None
    if optimizer == "adam_tuned":
        training = DecayedTraining(task, steps)
        rate, _ = tune_learning_rate(training, _RATES, steps, _TUNING_SEEDS)
    else:
        training = Training(task, _optimizer(optimizer))
    rows = []
    for seed in seeds:
        end = training.run(steps, seed, rate).iloc[-1]
        rows.append({**end, "cpu_seconds": training.training_cpu_seconds})
    metric = task.metric.__name__
    names = {f"{s}_{metric}": f"{s}_metric" for s in ("train", "validation", "test")}
    keys = {"task": name, "steps": steps, "optimizer": optimizer}
    found = pd.DataFrame(rows).drop(columns="step").rename(columns=names)
    found = found.astype({"seed": int}).assign(
        **keys, metric=metric, learning_rate=rate
    )
    return found[[*_KEYS, *found.columns.difference(_KEYS, sort=False)]]


def _optimizer(name):
    if name == "adam":
        return keras.optimizers.Adam()
    return lrlearn.LearnedOptimizer.from_preset(name)


if __name__ == "__main__":
    cli.run(main)
