"""The report of a grid: Markdown, HTML and figures."""

import os
import pathlib

import jinja2
import markdown

from lrlearn.files import write_atomically
from paper.report import claims, dial, figures, labels, limits, tables
from paper.report.study import Study

_PROTOCOL = pathlib.Path(__file__).parents[1] / "PROTOCOL.md"
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def write(rows, output, command):
    """Writes `REPORT.md`, `report.html` and `figures/`.

    Any part of a grid will do; the report names what is missing, and the command that
    makes the report. Returns the paths written.
    """
    output = pathlib.Path(output)
    study = Study(rows)
    main = claims.results(study, (*claims.CLAIMS, *claims.CONTROLS))
    drawn = figures.write(study, main, output / "figures")
    protocol = pathlib.Path(os.path.relpath(_PROTOCOL, output.resolve())).as_posix()
    text = render(study, main, drawn, command, protocol)
    title = text.splitlines()[0].removeprefix("# ")
    body = markdown.markdown(text, extensions=["tables", "toc", "fenced_code"])
    page = _TEMPLATES.get_template("page.html.j2").render(title=title, body=body)
    files = {"REPORT.md": text, "report.html": page}
    for name, content in files.items():
        write_atomically(output / name, content)
    return [output / name for name in files] + [
        output / "figures" / figure["file"] for figure in drawn
    ]


def render(study, main, drawn, command, protocol):
    """Returns the report as Markdown.

    `main` are the `Result`s of the claims and controls, `drawn` is what `figures.write`
    returned, and `protocol` the protocol's path, relative to the report.
    """
    later = [c for c in claims.EXPLORATIONS if c.cifar10 or study.has("cifar10")]
    return _TEMPLATES.get_template("report.md.j2").render(
        study=study,
        main=main,
        verdicts=claims.verdicts(main),
        later=claims.results(study, later),
        drawn=drawn,
        command=command,
        protocol=protocol,
        claims=claims,
        dial=dial,
        labels=labels,
        limits=limits,
        tables=tables,
    )


def table(frame):
    """Returns a data frame as a Markdown table; what is missing is a dash.

    Example:
        >>> import pandas as pd
        >>> from paper.report.report import table
        >>> print(table(pd.DataFrame({"a": ["x", None], "b": [1, 2]})))
        | a | b |
        | --- | ---: |
        | x | 1 |
        | – | 2 |
    """
    cells = frame.astype(object).where(frame.notna(), "–").astype(str)
    numeric = [cells[name].str.match(r"[-+*–∞\d]").all() for name in cells]
    rule = ["---:" if right else "---" for right in numeric]
    rows = [cells.columns, rule, *cells.to_numpy()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_TEMPLATES.filters["table"] = table
