r"""Meta-trains learned optimizers, compares them with others, measures flatness.

    python -m binaries.reproduce

runs a small grid on scikit-learn's digits: it meta-trains an update rule without
teacher and with SAM and GAM, trains three networks with them and with tuned SGD,
RMSprop and Adam, prints a table and writes a report.

    python -m binaries.reproduce --grid=first_pass --shard=1/2

runs (half of) the paper's tasks. Interrupted, a grid goes on where it stopped.
"""

import dataclasses
import os

from absl import flags

from binaries import cli
from paper.grid.grid import GRIDS

_GRID = flags.DEFINE_enum(
    "grid",
    "digits",
    list(GRIDS),
    "Grid to run: digits takes 7 CPU minutes, first_pass 11 core-hours, full 100.",
)
_STORE = flags.DEFINE_string(
    "store",
    None,
    "Directory of the grid's rows; default: runs/<grid>, or runs/<grid>_changed if "
    "other flags change it. Each such change needs one of its own.",
)
_OUTPUT = flags.DEFINE_string(
    "output", "runs/reproduce", "Directory of the report on a grid that is complete."
)
_SHARD = flags.DEFINE_string("shard", "1/1", "Which part of the grid: i/n.")
_MINUTES = flags.DEFINE_float("minutes", None, "No job is begun after so many minutes.")
flags.register_validator(
    "minutes",
    # Bounds of absl let NaN pass.
    lambda minutes: minutes is None or minutes >= 0,
    "--minutes must be a number >= 0.",
)
_PRESETS = flags.DEFINE_string(
    "presets",
    None,
    "Directory of presets that are not meta-trained again, such as "
    "paper/results/presets; default: all are meta-trained.",
)
_REUSE = flags.DEFINE_string(
    "reuse",
    None,
    "Store or .jsonl.gz of another grid, whose rows are taken if all that determines "
    "them is the same; default: none.",
)
_WORKERS = flags.DEFINE_integer(
    "workers", 1, "Processes that execute the grid's jobs.", lower_bound=1
)
_SCHEDULER = flags.DEFINE_string(
    "scheduler",
    None,
    "Address of a Dask scheduler, tcp://host:port, whose workers execute the jobs in "
    "place of processes here.",
)
_VERIFY = flags.DEFINE_string(
    "verify", None, "Key of a row, or its beginning: run it again and compare."
)
_META_STEPS = flags.DEFINE_integer(
    "meta_steps",
    None,
    "Meta-steps of each update rule, if not the grid's.",
    lower_bound=1,
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps of each network, if not the grid's.", lower_bound=1
)
_SEEDS = flags.DEFINE_integer(
    "seeds",
    None,
    "Runs of each optimizer on each task, if not the grid's.",
    lower_bound=1,
)


def main():
    """Runs a grid, or verifies a row of it, by the flags."""
    # Networks this small gain nothing from several threads in an operation, which also
    # make sums depend on the number of cores. And with several threads between
    # operations, the order in which TensorFlow adds w + a + b is not always the same.
    # TensorFlow reads both at its first operation.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    grid = _grid()
    directory = _STORE.value or f"runs/{grid.name}"
    if _VERIFY.value is not None:
        verify_row(grid, directory, _VERIFY.value)
    else:
        run_grid(grid, directory, _shard(_SHARD.value))


def run_grid(grid, directory, shard):
    """Runs what is missing of a shard; reports on a grid that is complete."""
    from paper.grid import runner
    from paper.grid.pool import open_pool
    from paper.report import report  # noqa: F401  (a lack of its packages shows now)

    if _PRESETS.value is not None and not os.path.isdir(_PRESETS.value):
        raise ValueError(
            f"--presets must be a directory. Received: --presets={_PRESETS.value}"
        )
    output = cli.output_directory(_OUTPUT.value)
    provenance = cli.provenance()
    try:
        with open_pool(_SCHEDULER.value, _WORKERS.value) as pool:
            missing = runner.run(
                grid,
                directory,
                provenance,
                shard,
                _MINUTES.value,
                _PRESETS.value,
                _REUSE.value,
                pool,
            )
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(
            f"Interrupted. The same command goes on with the store {directory}."
        ) from None
    if missing or shard != (1, 1):
        print(f"{missing} rows are missing in this shard. Store: {directory}")
    else:
        write_report(directory, output, provenance["command"])


def write_report(directory, output, command):
    """Prints the summary of a store, and writes it and the report."""
    from lrlearn.files import write_atomically
    from paper.grid import store
    from paper.report import report
    from paper.report.summary import summary_table

    rows = store.read(directory)
    table = summary_table(rows)
    write_atomically(output / "summary.csv", table.to_csv())
    same = [
        name for name in table.index.names[:-1] if table.index.unique(name).size == 1
    ]
    print(f"\n{table.droplevel(same).to_string()}\n")
    print(
        "Mean ± half of the 95 % bootstrap interval. `increase r`: largest increase of"
    )
    print("the loss within radius r of the weights.")
    paths = [output / "summary.csv", *report.write(rows, output, command)]
    seconds = sum(row["cpu_seconds"] for row in rows)
    print(f"{seconds:.0f} CPU seconds. Store: {directory}. Written: {output}/")
    print("  " + ", ".join(str(path.relative_to(output)) for path in paths))


def verify_row(grid, directory, key):
    """Runs one row of a grid again and compares its numbers."""
    from paper.grid import runner

    stored, found = runner.verify(grid, directory, key)
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


def _grid():
    """Returns the grid of the flags; if they change it, it has another name."""
    grid = GRIDS[_GRID.value]
    changes = {}
    if _META_STEPS.value is not None:
        how = dataclasses.replace(grid.meta_training, steps=_META_STEPS.value)
        changes["meta_training"] = how
    if _STEPS.value is not None:
        changes["horizons"] = (("*", (_STEPS.value,)),)
    if _SEEDS.value is not None:
        changes["seeds"] = _SEEDS.value
    if changes:
        changes["name"] = f"{grid.name}_changed"
    return dataclasses.replace(grid, **changes)


def _shard(text):
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()) or not (
        1 <= int(index) <= int(count)
    ):
        raise ValueError(
            f"--shard must be i/n with i from 1 to n. Received: --shard={text}"
        )
    return int(index), int(count)


if __name__ == "__main__":
    cli.run(main)
