"""Measures cases, each in a process of its own."""

import dataclasses
import json
import os
import subprocess
import sys

from benchmarks import cases as tables

_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def collect(cases, repeats):
    """Measures cases, and the machine before and after them.

    Args:
        cases: A list of `Case`s.
        repeats: Number of repeats of each.

    Yields:
        The results so far, after each measurement: a JSON-able dict of `"yardsticks"`
        and `"rows"`, which are lists of dicts.
    """
    yardsticks = tables.yardsticks()
    results = {"yardsticks": [], "rows": []}
    for case in [yardsticks, *cases, yardsticks]:
        new = run(case, repeats)
        if case == yardsticks:
            results["yardsticks"] += new
        else:
            label = {"group": case.group, "backend": case.backend, "case": case.name}
            new = [{**label, **row, "arguments": case.arguments} for row in new]
            results["rows"] += [_with_ratio(row, case, results["rows"]) for row in new]
        yield results


def run(case, repeats):
    """Returns the rows of a case, measured in a new process.

    Args:
        case: A `Case`.
        repeats: Number of repeats.
    """
    argument = json.dumps(dataclasses.asdict(case))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.worker", argument, str(repeats)],
        env={**os.environ, **_ENVIRONMENT, "KERAS_BACKEND": case.backend},
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    last = done.stderr.strip().splitlines()[-1:]
    return [{"error": " ".join([f"Ended with status {done.returncode}.", *last])}]


def _with_ratio(row, case, rows):
    """Returns the row with its time as a multiple of the baseline's, if there is it."""
    if case.baseline == case.name:
        rows = [*rows, row]
    found = [
        other["cpu_ms"]
        for other in rows
        if (other["group"], other["case"]) == (case.group, case.baseline)
        and "cpu_ms" in other
    ]
    if not found or "cpu_ms" not in row:
        return row
    return {**row, "ratio": row["cpu_ms"] / found[0]}
