"""CPU seconds of one meta-step, on one core.

An LSTM of 2x20 units trains an MLP 784-20-10 on batches of 128 for 20 steps; random
images serve as well as real ones for timing. Run on a quiet machine:

    python -m benchmarks.meta_step
"""

import os
import pathlib
import platform
import statistics
import subprocess
import time

if hasattr(os, "sched_setaffinity"):
    # Before TensorFlow starts its threads.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import keras
import numpy as np
import tensorflow as tf

import lrlearn
from lrlearn.meta import Replay

REPEATS = 9
ESTIMATORS = {
    "replay": "replay",
    "full_tape": "full_tape",
    "replay, a quarter of the coordinates": Replay(coordinates=3978),
}


def main():
    """Prints a table."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print(f"{_processor()}, TensorFlow {tf.__version__}, commit {_commit()}")
    print(f"load average {os.getloadavg()[0]:.1f}, median (and range) of {REPEATS}\n")
    print(f"{'estimator':<38}{'regularizer':<13}CPU s a meta-step")
    for name, estimator in ESTIMATORS.items():
        for regularizer in ("none", "sam"):
            seconds = _measure(estimator, regularizer)
            print(
                f"{name:<38}{regularizer:<13}{statistics.median(seconds):.3f} "
                f"({min(seconds):.3f}-{max(seconds):.3f})",
                flush=True,
            )


def _measure(estimator, regularizer):
    rule = lrlearn.rules.CoordinatewiseLSTM((20, 20), features="log", output="scaled")
    trainer = lrlearn.MetaTrainer(
        rule,
        [_task()],
        regularizer,
        estimator,
        unroll=20,
        horizon=10**6,
        validation_every=None,
    )
    trainer.fit(2, verbose=0)
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        trainer.fit(trainer.step + 1, verbose=0)
        seconds.append(time.process_time() - start)
    return seconds


def _task():
    rng = np.random.default_rng(0)
    x = rng.integers(256, size=(1000, 28, 28), dtype="uint8")
    y = rng.integers(10, size=1000, dtype="int32")

    def model_fn():
        return keras.Sequential(
            [
                keras.Input((28, 28)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Flatten(),
                keras.layers.Dense(20, "sigmoid"),
                keras.layers.Dense(10),
            ]
        )

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return lrlearn.tasks.Task(model_fn, loss, (x, y), batch_size=128)


def _processor():
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit():
    git = ["git", "-C", str(pathlib.Path(__file__).parent), "describe"]
    done = subprocess.run(
        [*git, "--always", "--dirty=+"], capture_output=True, text=True
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
