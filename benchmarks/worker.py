"""Measures one case; `benchmarks.collect` starts it.

    python -m benchmarks.worker <case as JSON> <repeats>

The last line that it prints is a JSON list of rows.
"""

import gc
import importlib
import json
import sys

from benchmarks import backends, rows, timing
from benchmarks.cases import Case


def measure(case, repeats):
    """Returns the rows of a case, a list of JSON-able dicts.

    Each has the memory that the process held at most before and after. A failure
    gives a row with nothing but its `error`.

    Args:
        case: A `Case`.
        repeats: Number of repeats.
    """
    group = importlib.import_module(f"benchmarks.groups.{case.group}")
    before = timing.peak_mib()
    try:
        measured = group.measure(repeats, **case.arguments)
    except Exception as error:  # whatever fails, the other cases go on
        return [rows.failed(error)]
    memory = {"start_mib": before, "peak_mib": timing.peak_mib()}
    return [{**row, **memory} for row in measured]


def main():
    """Measures the case of the arguments, single-threaded."""
    case, repeats = Case(**json.loads(sys.argv[1])), int(sys.argv[2])
    backends.use_one_thread()
    gc.freeze()  # later collections need not go through all that was imported
    print(json.dumps(measure(case, repeats)))


if __name__ == "__main__":
    main()
