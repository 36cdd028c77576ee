"""The report of a grid: Markdown, HTML and figures."""

import pathlib

from paper.report import closing, document, summary
from paper.report.content import content
from paper.report.pictures import Pictures
from paper.report.regime import Regime

_COMMAND = "python -m binaries.report --store=DIR --output=results"


def write(rows, directory, command=_COMMAND):
    """Writes `REPORT.md`, `report.html`, whole in itself, and `figures/*.png`.

    Any part of a grid will do; the report says what is missing.

    Args:
        rows: A list of dicts such as `paper.grid.store.read` returns.
        directory: Where to. Of benchmarks' tables that it holds, the report tells what
            they say of the method; see `checks`.
        command: The command that makes the report, which it names.

    Returns:
        A list of the paths written.

    Raises:
        ValueError: If there is no run.
    """
    directory = pathlib.Path(directory)
    found = content(rows)
    pictures = Pictures(found, directory).section()
    blocks = [
        *summary.section(found),
        *(b for regime in found.regimes for b in Regime(found, regime).section()),
        *pictures,
        *closing.cost_section(found),
        *closing.limit_section(found, directory),
        *closing.provenance_section(found, command),
    ]
    texts = {
        "REPORT.md": document.to_markdown(blocks),
        "report.html": document.to_html(blocks, "Report of the grid", directory),
    }
    for name, text in texts.items():
        (directory / name).write_text(text)
    drawn = [b.path for b in pictures if isinstance(b, document.Figure)]
    return [directory / name for name in (*texts, *drawn)]
