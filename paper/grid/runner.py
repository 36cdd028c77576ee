"""Runs what is missing of a grid, and verifies what is there."""

import functools
import math
import pathlib
import time

from tqdm.auto import tqdm

from lrlearn.meta.fingerprint import digest
from lrlearn.tasks import datasets
from paper.grid import store
from paper.grid.cells import Jobs
from paper.grid.execution import Executor
from paper.grid.pool import run_jobs

# The copy of CIFAR-10 whose images were decoded from JPEG files.
_JPEG_COPY = 1664538073


def run(
    grid,
    directory,
    provenance,
    shard=(1, 1),
    minutes=None,
    presets=None,
    reuse=None,
    pool=None,
    verbose=1,
):
    """Runs the jobs of a shard that are not in the store yet.

    Interrupted at any time, it loses at most the job at hand, of a meta-training what
    was done since its last checkpoint; called again, it goes on.
    Two processes on one shard do the same work, which does no harm, but a meta-training
    that one is in is refused to the other.

    Args:
        grid: A `Grid`.
        directory: Path of the store; several shards may share it.
        provenance: Dict of JSON types that is added to each row.
        shard: Tuple `(index, count)`, the index from 1.
        minutes: No job is begun after so many minutes. Defaults to no limit.
        presets: Directory of presets that were meta-trained as the grid says, called
            `lo_sam-0` for meta-seed 0; they are not meta-trained again. Defaults to
            none.
        reuse: A store or an export of another grid, whose rows are taken if they have
            a key of this one: then nothing differs that determines them. Defaults to
            none.
        pool: What `open_pool` yielded, where jobs are executed; this process writes
            their rows. Defaults to `None`: one by one in this process.
        verbose: `1` for progress bars, `0` for none.

    Returns:
        Number of rows that are still missing in the shard.
    """
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    every = Jobs(grid, data_of)
    jobs = every.shard(*shard)
    rows = {row["key"]: row for row in store.begin(directory, grid.describe())}
    if reuse is not None:
        keys = {key for job in every.all() for key in job.keys} - rows.keys()
        found = [row for row in store.read(reuse) if row["key"] in keys]
        store.append(directory, found)
        rows |= {row["key"]: row for row in found}
    _check_settings(jobs, rows.values(), directory)
    checkpoints = pathlib.Path(directory) / "meta_training"
    places = checkpoints, presets and pathlib.Path(presets)
    if pool is None:
        execute = functools.partial(_one_by_one, Executor(grid, rows, *places))
    else:
        alone = functools.partial(_execute_alone, grid, *places)
        execute = functools.partial(run_jobs, pool, rows=rows, execute=alone)
    # A meta-training takes minutes, a run seconds: each has a bar with its time left.
    meta = [job for job in jobs if job.kind == "meta"]
    others = [job for job in jobs if job.kind != "meta"]
    phases = {"Meta-training": meta, "Tuning and runs": others}
    for name, part in phases.items():
        missing = [job for job in part if not rows.keys() >= set(job.keys)]
        with _bar(name, part, missing, verbose) as bar:

            def take(job, found, bar=bar):
                new = [row for row in found if row["key"] not in rows]
                new = [{**row, "grid": grid.name, **provenance} for row in new]
                store.append(directory, new)
                rows.update({row["key"]: row for row in new})
                bar.set_postfix_str(_label(job), refresh=False)
                bar.update(len(new))

            execute(missing, take=take, end=end)
    return sum(key not in rows for job in jobs for key in job.keys)


def verify(grid, directory, key):
    """Runs the job of a row again; returns the row as stored and as found now.

    The key may be cut off. Numbers are the same to the bit on the same model of CPU,
    with the same versions, and with one thread within and between TensorFlow's
    operations, as `binaries.reproduce` sets them.
    """
    rows = {row["key"]: row for row in store.read(directory)}
    keys = [k for k in rows if k.startswith(key)]
    if len(keys) != 1:
        raise ValueError(
            f"`key` must be that of one row. Received: {key!r}, of {len(keys)} rows"
        )
    jobs = [job for job in Jobs(grid, data_of).all() if keys[0] in job.keys]
    if not jobs:
        raise ValueError(
            f"`key` must be that of a cell of grid {grid.name!r}, with the data at "
            f"hand. Received: {key!r}"
        )
    again = Executor(grid, rows)(jobs[0])
    return rows[keys[0]], next(row for row in again if row["key"] == keys[0])


def differences(stored, found, path=""):
    """Returns a line for each number that differs, times and provenance apart.

    Lines begin with the number's path within the row.
    """
    if isinstance(found, dict):
        names = [name for name in found if not name.endswith("cpu_seconds")]
        pairs = [(name, (stored or {}).get(name), found[name]) for name in names]
    elif isinstance(found, list | tuple) and len(found) == len(stored or ()):
        pairs = zip(range(len(found)), stored, found, strict=True)
    else:
        same = stored == found or (stored != stored and found != found)  # NaN
        return [] if same else [f"{path}: {stored} in the store, now {found}"]
    return [
        line for name, a, b in pairs for line in differences(a, b, f"{path}/{name}")
    ]


@functools.cache
def data_of(name):
    """Returns the description of a data set: a checksum, and whether it is JPEG."""
    splits = datasets.splits(name)
    checksum = digest(array for arrays in splits.values() for array in arrays)
    return {
        "name": name,
        "checksum": checksum,
        "cifar10_jpeg_copy": checksum == _JPEG_COPY,
    }


def _one_by_one(execute, jobs, take, end):
    """Executes jobs in this process; see `run_jobs`."""
    for job in jobs:
        if time.monotonic() >= end:
            break
        take(job, execute(job))


def _execute_alone(grid, checkpoints, presets, job, rows):
    """Returns a job's rows; for another process, with the rows that it needs."""
    return Executor(grid, rows, checkpoints, presets)(job)


def _check_settings(jobs, rows, directory):
    """Refuses a store that has one of the jobs' cells by another key."""
    keys = {
        (job.kind, frozenset(cell.items())): key
        for job in jobs
        for cell, key in zip(job.cells, job.keys, strict=True)
    }
    for row in rows:
        key = keys.get((row["kind"], frozenset(row["cell"].items())), row["key"])
        if key != row["key"]:
            raise ValueError(
                "A store must hold cells of the same settings (data, trials and what "
                f"they need). Received: {directory}, with {row['kind']} {row['cell']} "
                f"of key {row['key']}, now {key}"
            )


def _bar(name, jobs, missing, verbose):
    total = sum(len(job.cells) for job in jobs)
    done = total - sum(len(job.cells) for job in missing)
    return tqdm(desc=name, total=total, initial=done, unit="row", disable=not verbose)


def _label(job):
    names = [job.cell.get(name) for name in ("dataset", "network", "regime")]
    where = "/".join(filter(None, names)) or f"meta-seed {job.cell['meta_seed']}"
    return f"{job.kind} {job.cell['optimizer']}, {where}"
