"""Runs what is missing of a grid, and verifies what is there."""

import functools
import math
import time

from tqdm.auto import tqdm

from lrlearn.meta.fingerprint import digest
from lrlearn.tasks import datasets
from paper.grid import store
from paper.grid.cells import Jobs
from paper.grid.execution import Executor

# The copy of CIFAR-10 whose images were decoded from JPEG files.
_JPEG_COPY = 1664538073


def run(grid, directory, provenance, shard=(1, 1), minutes=None, verbose=1):
    """Runs the jobs of a shard that are not in the store yet.

    Interrupted at any time, it loses at most the job at hand; called again, it goes on.

    Args:
        grid: A `Grid`.
        directory: Path of the store; several shards may share it.
        provenance: JSON-able dict that each row is signed with.
        shard: Tuple `(index, count)`, the index from 1. Defaults to `(1, 1)`.
        minutes: No job is begun after so many minutes. Defaults to no limit.
        verbose: `1` for a progress bar, `0` for none. Defaults to `1`.

    Returns:
        Number of rows that are still missing in the shard.

    Raises:
        ValueError: If the store belongs to another grid or holds cells of other
            settings, or another process writes to this shard's file.
        FileNotFoundError: If data are neither there nor can be downloaded.
    """
    index, count = shard
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    jobs = Jobs(grid, data_of).shard(index, count)
    with store.Writer(directory, grid.describe(), f"shard-{index}-of-{count}") as out:
        rows = {row["key"]: row for row in store.read(directory)}
        _check_settings(jobs, rows.values(), directory)
        execute = Executor(grid, rows)
        for name, part in _phases(jobs):
            missing = [job for job in part if not rows.keys() >= set(job.keys)]
            with _bar(name, part, missing, verbose) as bar:
                while missing and time.monotonic() < end:
                    job = missing.pop(0)
                    bar.set_postfix_str(_label(job))
                    signature = {"grid": grid.name, **provenance}
                    new = [{**row, **signature} for row in execute(job)]
                    new = [row for row in new if row["key"] not in rows]
                    out.append(new)
                    rows |= {row["key"]: row for row in new}
                    bar.update(len(new))
    return sum(key not in rows for job in jobs for key in job.keys)


def verify(grid, directory, key):
    """Runs the job of a row again.

    Numbers are the same to the bit on the same model of CPU, with the same versions,
    and with one thread within and between TensorFlow's operations, which
    `binaries.reproduce` sees to.

    Args:
        grid: The `Grid` that the row is of.
        directory: Path of the store.
        key: The row's key, or the beginning of it.

    Returns:
        A tuple of the row as stored and as found now, without provenance.

    Raises:
        ValueError: If no row, or more than one, has this key, or if this version of
            the grid has no such cell.
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

    Args:
        stored: Row as stored.
        found: Row as `verify` found it.
        path: What the lines begin with. Defaults to `""`.
    """
    if isinstance(found, dict):
        return [
            line
            for name, value in found.items()
            if not name.endswith("cpu_seconds")
            for line in differences((stored or {}).get(name), value, f"{path}/{name}")
        ]
    if isinstance(found, list | tuple) and len(found) == len(stored or ()):
        return [
            line
            for i, values in enumerate(zip(stored, found, strict=True))
            for line in differences(*values, f"{path}/{i}")
        ]
    same = stored == found or (stored != stored and found != found)  # NaN
    return [] if same else [f"{path}: {stored} in the store, now {found}"]


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


@functools.cache
def data_of(name):
    """Returns what tells a data set from others: a checksum, and whether it is JPEG.

    Args:
        name: Name of a data set.
    """
    splits = datasets.splits(name)
    checksum = digest(array for arrays in splits.values() for array in arrays)
    return {
        "name": name,
        "checksum": checksum,
        "cifar10_jpeg_copy": checksum == _JPEG_COPY,
    }


def _phases(jobs):
    """Meta-trainings, and what comes after them.

    A row of the first takes minutes, one of the second seconds: apart, each bar tells
    the time that is left.
    """
    phases = {"Meta-training": [], "Tuning and runs": []}
    for job in jobs:
        phases["Meta-training" if job.kind == "meta" else "Tuning and runs"].append(job)
    return [(name, part) for name, part in phases.items() if part]


def _bar(name, jobs, missing, verbose):
    total = sum(len(job.cells) for job in jobs)
    done = total - sum(len(job.cells) for job in missing)
    return tqdm(desc=name, total=total, initial=done, unit="row", disable=not verbose)


def _label(job):
    cell = job.cell
    place = (cell.get("dataset"), cell.get("network"), cell.get("regime"))
    where = "/".join(filter(None, place)) or f"meta-seed {cell['meta_seed']}"
    return f"{job.kind} {cell['optimizer']}, {where}"
