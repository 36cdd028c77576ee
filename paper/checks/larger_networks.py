r"""Presets on a ResNet-20 and a transformer of a million parameters, beside others.

    python -m paper.checks.larger_networks --networks=transformer --steps=2000
    python -m paper.checks.larger_networks --networks=resnet20 --steps=1000

No optimizer is tuned: Adam is at its default; AdamW decays as a cosine from the same
rate, and SAM is around it. Writes one row a record, with the CPU time of the steps so
far, and goes on where it stopped; prints how the runs end.
"""

import functools
import itertools

import keras
import numpy as np
import pandas as pd
from absl import flags
from tqdm.auto import tqdm

import lrlearn
from benchmarks.networks import resnet
from binaries import cli
from lrlearn.evaluation import Training
from lrlearn.tasks import datasets, topics

_RATE, _DECAY = 0.001, 0.05
_BATCH_SIZE = 128
_RECORDS = 10
_KEYS = ["network", "optimizer"]


def _resnet20():
    return lrlearn.tasks.Task(
        functools.partial(resnet, (32, 32, 3), (16, 32, 64)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **datasets.splits("cifar10"),
        batch_size=_BATCH_SIZE,
        name="resnet20",
    )


def _adam_w():
    rate = keras.optimizers.schedules.CosineDecay(_RATE, _STEPS.value)
    return keras.optimizers.AdamW(rate, weight_decay=_DECAY)


_LOAD = {
    "resnet20": _resnet20,
    "transformer": lambda: topics.transformer(units=128, blocks=5),
}
_MAKE = {
    "adam": keras.optimizers.Adam,
    "adamw_cosine": _adam_w,
    "sam": _adam_w,
    **{
        name: functools.partial(lrlearn.LearnedOptimizer.from_preset, name)
        for name in ("lo_none", "lo_sam", "lo_gsam", "lo_gam", "lo_lstm_sam")
    },
}


def _subset_of(flag, names):
    rule = f"--{flag} must be of {', '.join(names)}."
    flags.register_validator(flag, lambda chosen: set(chosen) <= set(names), rule)


_NETWORKS = flags.DEFINE_list("networks", list(_LOAD), "Networks.")
_subset_of("networks", _LOAD)
_OPTIMIZERS = flags.DEFINE_list(
    "optimizers", list(_MAKE), "Optimizers; sam is around AdamW."
)
_subset_of("optimizers", _MAKE)
_STEPS = flags.DEFINE_integer("steps", 1000, "Number of steps.", lower_bound=_RECORDS)
_OUTPUT = flags.DEFINE_string("output", "runs/checks", "Output directory.")


def main():
    """Runs the check by the flags."""
    path = cli.output_directory(_OUTPUT.value) / "larger_networks.csv"
    origin = cli.provenance()
    frame = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=_KEYS)
    _check_steps(frame)
    done = set(frame[_KEYS].itertuples(index=False, name=None))
    pairs = itertools.product(_NETWORKS.value, _OPTIMIZERS.value)
    for network, optimizer in tqdm([pair for pair in pairs if pair not in done]):
        rows = _run(_LOAD[network](), optimizer)
        rows = rows.assign(
            network=network, optimizer=optimizer, commit=origin["commit"]
        )
        frame = pd.concat([frame, rows] if len(frame) else [rows])
        cli.write_table(path, frame, origin, "%.6g")
    print(summary(frame).round(3).to_string())


def summary(frame):
    """Returns how the runs end, and what they reach in the CPU time of Adam's run.

    Args:
        frame: One row a run and record: `network`, `optimizer`, `step`, `cpu_seconds`,
            `test_loss` and `test_accuracy`.

    Returns:
        A frame with a row for each run. The columns `in_time_of_adam_*` are
        interpolated between records, and NaN without a run by Adam.
    """
    runs = frame.groupby(_KEYS, sort=False)
    ends = runs.last()
    ends.insert(0, "cpu_ms_a_step", 1000.0 * ends["cpu_seconds"] / ends["step"])
    adam = ends.query("optimizer == 'adam'")["cpu_seconds"].droplevel("optimizer")
    for column in ("test_loss", "test_accuracy"):
        ends[f"in_time_of_adam_{column}"] = [
            np.interp(adam[network], run["cpu_seconds"], run[column])
            if network in adam
            else np.nan
            for (network, _), run in runs
        ]
    own = ["cpu_ms_a_step", "step", "test_loss", "test_accuracy"]
    return ends[[*own, *ends.columns[-2:]]]


def _check_steps(frame):
    """Raises a `ValueError` if runs of these networks are there with other steps."""
    there = frame[frame["network"].isin(_NETWORKS.value)]
    if len(there) and there["step"].max() != _STEPS.value:
        raise ValueError(
            "--steps must be those of the runs that are there. Received: "
            f"--steps={_STEPS.value}, where they have {there['step'].max()}"
        )


def _run(task, optimizer):
    regularizer = "sam" if optimizer == "sam" else None
    training = Training(task, _MAKE[optimizer](), regularizer)
    steps, rows = _STEPS.value, []
    training.start([0], steps=steps)
    for record in range(1, _RECORDS + 1):
        training.train(record * steps // _RECORDS)
        (found,) = training.evaluate()
        cpu = {"cpu_seconds": training.training_cpu_seconds}
        rows.append({"step": record * steps // _RECORDS, **cpu, **found})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    cli.run(main)
