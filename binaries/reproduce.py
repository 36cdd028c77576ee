r"""The main job: meta-train learned optimizers, compare them, measure their flatness.

    python -m binaries.reproduce

Without flags it meta-trains one rule without regularizer and one each with SAM, GSAM
and GAM on scikit-learn's digits, trains an MLP, an MLP-ReLU and a CNN with them and
with tuned SGD, RMSprop and Adam, prints a table, and writes CSV, JSON and figures.
"""

import dataclasses
import os
import time

import matplotlib
from absl import flags

from binaries import cli
from lrlearn.experiments import MainJob, report, run

matplotlib.use("Agg")

_OUTPUT = flags.DEFINE_string("output", "runs/reproduce", "Output directory.")
_DATASET = flags.DEFINE_enum(
    "dataset",
    MainJob.dataset,
    ["digits", "mnist", "fashion_mnist", "cifar10"],
    "Data set; digits needs no download.",
)
_META_STEPS = flags.DEFINE_integer(
    "meta_steps",
    MainJob.meta_steps,
    "Steps in which each update rule is meta-trained.",
    lower_bound=1,
)
_STEPS = flags.DEFINE_integer(
    "steps", MainJob.steps, "Training steps of each network.", lower_bound=1
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    MainJob.seeds,
    "Number of times that each network is trained.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer(
    "seed", MainJob.seed, "Seed of everything random.", lower_bound=0
)


def main():
    """Runs the main job by the flags."""
    # Networks this small gain nothing from several threads in an operation, which also
    # make sums depend on the number of cores. TensorFlow reads this at its first one.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    job = dataclasses.replace(
        MainJob(),
        dataset=_DATASET.value,
        meta_steps=_META_STEPS.value,
        steps=_STEPS.value,
        seeds=_SEEDS.value,
        seed=_SEED.value,
    )
    output = cli.output_directory(_OUTPUT.value)
    results = run(job)
    cpu_seconds = round(time.process_time(), 1)
    provenance = {**cli.provenance(), "cpu_seconds": cpu_seconds}
    paths = report.write(results, job, output, provenance)
    print()
    print(report.summary_table(results).to_string())
    print(f"\nMean ± half of the 95 % interval over {job.seeds} seeds. Rules were")
    print(f"meta-trained on {', '.join(job.meta_networks)}; other networks are unseen.")
    print("`increase r`: largest increase of the loss within radius r (PGA).")
    print(f"{cpu_seconds:.0f} CPU seconds. Written: {output}/")
    print("  " + ", ".join(path.name for path in paths))


if __name__ == "__main__":
    cli.run(main)
