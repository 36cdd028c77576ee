r"""Runs of 10,000 steps by presets that saw at most 2,000, beside Adam at its default.

    python -m paper.checks.long_runs
    python -m paper.checks.long_runs --tasks=resnet20,mnist/mlp --ways=length

Tasks are the ready-made ones, in batches of 32, and those of `unseen_tasks`. A preset
is told the length; the same with its dial at 0; a fifth of the length; and nothing.
Writes one row a record, and goes on where it stopped.
"""

import itertools

import keras
import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from binaries import cli
from lrlearn.evaluation import Training
from paper.checks import unseen_tasks

_NAMES = [*unseen_tasks.NAMES, *lrlearn.tasks.names()]
_TASKS = flags.DEFINE_list("tasks", _NAMES, "Tasks.")
flags.register_validator(
    "tasks",
    lambda names: set(names) <= set(_NAMES),
    f"--tasks must be of {', '.join(_NAMES)}.",
)
_PRESETS = flags.DEFINE_list("presets", None, "Presets or directories; default: all.")
_STEPS = flags.DEFINE_integer("steps", 10_000, "Number of steps, of tens.")
flags.register_validator(
    "steps", lambda n: n > 0 and n % 10 == 0, "--steps must be a multiple of 10."
)
_WAY_NAMES = ["length", "dial_off", "fifth", "nothing"]
_WAYS = flags.DEFINE_list("ways", _WAY_NAMES, "What presets are told; default: all.")
flags.register_validator(
    "ways",
    lambda names: set(names) <= set(_WAY_NAMES),
    f"--ways must be of {', '.join(_WAY_NAMES)}.",
)
_GUARD = flags.DEFINE_bool(
    "guard",
    True,
    "Whether presets have their guard; without it files end with _unguarded.",
)
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")
_NAME = flags.DEFINE_string("name", "long_runs", "Name of the files.")

_BATCH_SIZE = 32
_KEYS = ["task", "optimizer", "told", "dial"]
_DEFAULT = "default"
_LOSSES = ["train_loss", "validation_loss"]


def main():
    """Runs the check by the flags."""
    name = _NAME.value if _GUARD.value else f"{_NAME.value}_unguarded"
    output = cli.output_directory(_OUTPUT.value) / f"{name}.csv"
    # Before anything is written, which would make the tree look changed.
    origin = cli.provenance()
    presets = _PRESETS.value or sorted(lrlearn.LearnedOptimizer.presets)
    frame = (
        pd.read_csv(output, dtype={"dial": str})
        if output.exists()
        else pd.DataFrame(columns=_KEYS)
    )
    if len(frame) and frame["step"].max() != _STEPS.value:
        raise ValueError(
            "--steps must be those of the runs that are there. Received: "
            f"--steps={_STEPS.value}, where {output} has {frame['step'].max()}"
        )
    done = set(frame[_KEYS].itertuples(index=False, name=None))
    for name, optimizer in tqdm([*itertools.product(_TASKS.value, ["adam", *presets])]):
        ways = [way for way in _ways(optimizer) if (name, optimizer, *way) not in done]
        if ways:
            found = _run(name, optimizer, ways)
            found = found.assign(commit=origin["commit"])
            frame = pd.concat([frame, found] if len(frame) else [found])
            cli.write_table(output, frame, origin, "%.6g")
    table = beside_adam(frame)
    print(table.round(3).to_string())
    print(summarize(table).round(3).to_string())


def beside_adam(frame):
    """Returns validation loss and accuracy at the end of each run, beside Adam's.

    Args:
        frame: One row a record: `task`, `optimizer`, `told`, `dial` and what
            `Training.evaluate` returns.

    Returns:
        A frame of `loss_ratio` and `accuracy_difference`, with the first four as its
        index; a loss that was not finite in any record gives NaN.
    """
    runs = frame.groupby(_KEYS, sort=False)
    finite = runs[_LOSSES].agg(lambda loss: np.isfinite(loss).all()).all(axis=1)
    ends = runs.last().where(finite).reset_index(_KEYS[1:])
    adam = ends[ends["optimizer"] == "adam"].reindex(ends.index)
    ends["loss_ratio"] = ends["validation_loss"] / adam["validation_loss"]
    accuracy = "validation_accuracy"
    ends["accuracy_difference"] = ends[accuracy] - adam[accuracy]
    ends = ends[ends["optimizer"] != "adam"].set_index(_KEYS[1:], append=True)
    return ends[["loss_ratio", "accuracy_difference"]]


def summarize(table):
    """Returns counts of tasks: those that end no worse than Adam, by some measure.

    Args:
        table: What `beside_adam` returned.
    """
    groups = table.groupby(_KEYS[1:], sort=False)
    loss, accuracy = groups["loss_ratio"], groups["accuracy_difference"]
    return pd.DataFrame(
        {
            "tasks": groups.size(),
            "not finite": loss.agg(lambda x: x.isna().sum()),
            "loss within 1.5 of Adam's": loss.agg(lambda x: (x <= 1.5).sum()),
            "with accuracy": accuracy.count(),
            "accuracy within 1 %": accuracy.agg(lambda x: (x >= -0.01).sum()),
            "worst accuracy difference": accuracy.min(),
        }
    )


def _ways(optimizer):
    """Returns pairs of the number of steps that it is told, 0 for nothing, and dial."""
    steps = _STEPS.value
    inputs = () if optimizer == "adam" else _run_inputs(optimizer)
    if "total_steps" not in inputs:
        return [(0, _DEFAULT)]
    ways = {
        "length": (steps, _DEFAULT),
        "fifth": (steps // 5, _DEFAULT),
        "nothing": (0, _DEFAULT),
    }
    if "rho" in inputs:
        ways["dial_off"] = (steps, "0")
    return [way for name, way in ways.items() if name in _WAYS.value]


def _run_inputs(preset):
    return lrlearn.LearnedOptimizer.from_preset(preset).rule.run_inputs


def _run(name, optimizer, ways):
    """Returns the records of an optimizer on a task, trained in some ways."""
    task = (
        unseen_tasks.load(name)
        if name in unseen_tasks.NAMES
        else lrlearn.tasks.load(name, batch_size=_BATCH_SIZE)
    )
    training = Training(task, _optimizer(optimizer))
    steps, rows = _STEPS.value, []
    for told, dial in ways:
        training.start([0], steps=told or None)
        if dial != _DEFAULT:
            training.optimizer.rho = float(dial)
        for step in range(steps // 10, steps + 1, steps // 10):
            training.train(step)
            (found,) = training.evaluate()
            keys = dict(zip(_KEYS, (name, optimizer, told, dial), strict=True))
            rows.append({**keys, "step": step, **found})
    return pd.DataFrame(rows)


def _optimizer(name):
    if name == "adam":
        return keras.optimizers.Adam()
    return lrlearn.LearnedOptimizer.from_preset(name, guard=_GUARD.value)


if __name__ == "__main__":
    cli.run(main)
