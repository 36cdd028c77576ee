r"""Writes the report of a grid: verdicts, tables and figures of what its store holds.

    python -m binaries.report --store=runs/first_pass --output=results

Writes `REPORT.md`, `report.html`, which needs no other file, and `figures/*.png`. A
grid that is not finished will do: the report says what is missing.
"""

import shlex
import sys

import matplotlib
from absl import flags

from binaries import cli
from paper.grid import store
from paper.report import report

matplotlib.use("Agg")

_STORE = flags.DEFINE_string("store", "runs/full", "Directory of the grid's store.")
_OUTPUT = flags.DEFINE_string("output", "results", "Output directory.")
_EXPORT = flags.DEFINE_string(
    "export", None, "Path of a .jsonl.gz file to write all rows to, to be committed."
)


def main():
    """Writes the report by the flags."""
    output = cli.output_directory(_OUTPUT.value)
    rows = store.read(_STORE.value)
    command = shlex.join(["python", "-m", "binaries.report", *sys.argv[1:]])
    paths = report.write(rows, output, command)
    print(f"{len(rows)} rows. Written: {output}/")
    print(f"  REPORT.md, report.html and {len(paths) - 2} figures")
    if _EXPORT.value is not None:
        store.export(_STORE.value, _EXPORT.value)
        print(f"All rows: {_EXPORT.value}")


if __name__ == "__main__":
    cli.run(main)
