r"""Writes the report of a grid: claims, tables and figures.

    python -m binaries.report --store=runs/first_pass --output=runs/report

writes `REPORT.md`, `report.html` and `figures/`. A grid that is not finished will do:
the report names what is missing.
"""

from absl import flags

from binaries import cli

_STORE = flags.DEFINE_string(
    "store", "runs/digits", "Directory of the grid's rows, or an exported .jsonl.gz."
)
_OUTPUT = flags.DEFINE_string("output", "runs/report", "Output directory.")
_EXPORT = flags.DEFINE_string(
    "export", None, "Path of a .jsonl.gz file to write all rows to, to be committed."
)
flags.register_validator(
    "export",
    lambda path: path is None or path.endswith(".jsonl.gz"),
    "--export must end with .jsonl.gz.",
)


def main():
    """Writes the report by the flags."""
    from paper.grid import store
    from paper.report import report

    rows = store.read(_STORE.value)
    if not any(row["kind"] == "run" for row in rows):
        raise ValueError(
            "--store must hold runs; `python -m binaries.reproduce` makes them. "
            f"Received: {_STORE.value}"
        )
    output = cli.output_directory(_OUTPUT.value)
    paths = report.write(rows, output, cli.provenance()["command"])
    print(f"{len(rows)} rows. Written: {output}/")
    print(f"  REPORT.md, report.html and {len(paths) - 2} figures")
    if _EXPORT.value is not None:
        store.export(_STORE.value, _EXPORT.value)
        print(f"All rows: {_EXPORT.value}")


if __name__ == "__main__":
    cli.run(main)
