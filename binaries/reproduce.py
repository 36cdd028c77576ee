r"""The main job: meta-train learned optimizers, compare them, measure their flatness.

    python -m binaries.reproduce

Without flags it meta-trains one rule without regularizer and one each with SAM, GSAM
and GAM on scikit-learn's digits, trains three networks with them and with tuned SGD,
RMSprop and Adam, prints a table, and writes CSV, JSON and figures.

    python -m binaries.reproduce --grid=first_pass --shard=1/2

runs what is missing of (half) a grid of the paper's tasks; `--verify=KEY` runs a row
again and compares it. `binaries.report` makes the report.
"""

import dataclasses
import os
import time

import matplotlib
from absl import flags

from binaries import cli
from paper import MainJob, main_report, run
from paper.grid import runner
from paper.grid.grid import GRIDS

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
_GRID = flags.DEFINE_enum("grid", None, list(GRIDS), "Grid to run instead.")
_STORE = flags.DEFINE_string("store", None, "Its store; default: runs/<grid>.")
_SHARD = flags.DEFINE_string("shard", "1/1", "Which part of the grid: i/n.")
_MINUTES = flags.DEFINE_float(
    "minutes", None, "No cell is begun after so many minutes."
)
flags.register_validator(
    "minutes",
    # Bounds of absl let NaN pass.
    lambda minutes: minutes is None or minutes >= 0,
    "--minutes must be a number >= 0.",
)
_VERIFY = flags.DEFINE_string(
    "verify", None, "Key of a row, or its beginning: run it again and compare."
)


def main():
    """Runs the main job, or a grid, by the flags."""
    # Networks this small gain nothing from several threads in an operation, which also
    # make sums depend on the number of cores. TensorFlow reads this at its first one.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    if _GRID.value is None:
        _check_no_grid_flags()
        run_main_job()
        return
    _check_no_main_flags()
    # TensorFlow's arithmetic optimization joins additions, w + a + b, to sums whose
    # order depends on how threads happen to run: meta-training on held-out loss came
    # out otherwise each time. With one thread between operations the order is fixed.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    if _VERIFY.value is None:
        run_grid(GRIDS[_GRID.value])
    else:
        verify_row(GRIDS[_GRID.value])


def run_grid(grid):
    """Runs what is missing of a shard of a grid."""
    store = _STORE.value or f"runs/{grid.name}"
    try:
        missing = runner.run(
            grid, store, cli.provenance(), _shard(_SHARD.value), _MINUTES.value
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted. The same command goes on with what is missing in {store}."
        ) from None
    print(f"{missing} rows are missing in this shard. Store: {store}")


def verify_row(grid):
    """Runs one row of a grid again and compares its numbers."""
    stored, found = runner.verify(
        grid, _STORE.value or f"runs/{grid.name}", _VERIFY.value
    )
    differences = runner.differences(stored, found)
    print(f"{stored['kind']} {stored['cell']}, of commit {stored['commit']}")
    for line in differences:
        print(line)
    if differences:
        raise ValueError(
            f"{len(differences)} numbers differ from those in the store. They are the "
            "same to the bit only on the same model of CPU, with the row's versions."
        )
    print("All numbers are those in the store.")


def _shard(text):
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()) or not (
        1 <= int(index) <= int(count)
    ):
        raise ValueError(
            f"--shard must be i/n with i from 1 to n. Received: --shard={text}"
        )
    return int(index), int(count)


def _check_no_grid_flags():
    for flag in (_STORE, _SHARD, _MINUTES, _VERIFY):
        if flag.present:
            raise ValueError(f"--{flag.name} needs --grid. Received: no --grid")


def _check_no_main_flags():
    for flag in (_OUTPUT, _DATASET, _META_STEPS, _STEPS, _SEEDS, _SEED):
        if flag.present:
            raise ValueError(
                f"--{flag.name} is the main job's, and a grid has its own. Received: "
                f"--grid={_GRID.value}"
            )


def run_main_job():
    """Runs the main job."""
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
    paths = main_report.write(results, job, output, provenance)
    print()
    print(main_report.summary_table(results).to_string())
    print(f"\nMean ± half of the 95 % interval over {job.seeds} seeds. Rules were")
    print(f"meta-trained on {', '.join(job.meta_networks)}; other networks are unseen.")
    print("`increase r`: largest increase of the loss within radius r (PGA).")
    print(f"{cpu_seconds:.0f} CPU seconds. Written: {output}/")
    print("  " + ", ".join(path.name for path in paths))


if __name__ == "__main__":
    cli.run(main)
