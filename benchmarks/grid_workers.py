r"""How much faster two workers execute a grid than one.

    python -m benchmarks.grid_workers

The grid is `digits` without its meta-trainings: runs of Keras's optimizers and of the
untrained rule. It is executed by processes of a local pool and by workers of a Dask
cluster on this machine; what they import counts. Prints rows a minute, and how many
times those of one worker.
"""

import contextlib
import dataclasses
import os
import tempfile
import time

import pandas as pd

from binaries import cli

_BASELINES = ("SGD-M", "Adam", "RMSprop", "Adam linear", "untrained")


def main():
    """Prints a table."""
    for kind in ("INTRAOP", "INTEROP"):  # of the processes that are started
        os.environ[f"TF_NUM_{kind}_THREADS"] = "1"
    rows = pd.DataFrame(_measure(*case) for case in _cases())
    ones = rows[rows["workers"] == 1].set_index("pool")["rows_a_minute"]
    rows["times_one"] = rows["rows_a_minute"] / rows["pool"].map(ones)
    print(rows.round(2).to_string(index=False))


def _cases():
    for pool in (_processes, _dask):
        for workers in (1, 2):
            yield pool, workers


def _measure(pool, workers):
    from paper.grid import runner, store
    from paper.grid.grid import GRIDS

    grid = dataclasses.replace(GRIDS["digits"], optimizers=_BASELINES)
    with tempfile.TemporaryDirectory() as directory, pool(workers) as executor:
        began = time.monotonic()
        runner.run(grid, directory, cli.provenance(), pool=executor, verbose=0)
        minutes = (time.monotonic() - began) / 60
        number = len(store.read(directory))
    name = pool.__name__.removeprefix("_")
    return {"pool": name, "workers": workers, "rows_a_minute": number / minutes}


@contextlib.contextmanager
def _processes(workers):
    import concurrent.futures
    import multiprocessing

    # `open_pool` has none for a single worker: that would be this process.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context) as pool:
        yield pool


@contextlib.contextmanager
def _dask(workers):
    from distributed import LocalCluster

    from paper.grid.pool import open_pool

    one = {"threads_per_worker": 1, "dashboard_address": None}
    with (
        LocalCluster(n_workers=workers, **one) as cluster,
        open_pool(cluster.scheduler_address) as pool,
    ):
        yield pool


if __name__ == "__main__":
    cli.run(main)
