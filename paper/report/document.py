"""A document of few kinds of blocks, written as Markdown and as one HTML file.

Each block returns itself as text: `markdown()`, and `html(directory)`, where the
directory is what the paths of figures start from.
"""

import base64
import dataclasses
import html
import pathlib
import re

import pandas as pd

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { border: 1px solid #bbb; padding: .2em .5em; white-space: nowrap; }
th { background: #eee; text-align: left; }
td + td { text-align: right; }
figure { margin: 1.5em 0; } img { max-width: 100%; } figcaption { font-size: 14px; }
pre, code { background: #f3f3f3; font-size: 14px; } pre { padding: .6em; }
"""
_INLINE = (
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\*\*(.+?)\*\*", r"<strong>\1</strong>"),
    (r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>'),
)


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading; of level 1, the document's title."""

    text: str
    level: int = 2

    def markdown(self):
        return f"{'#' * self.level} {self.text}"

    def html(self, directory):
        return f"<h{self.level}>{_inline(self.text)}</h{self.level}>"


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph; Markdown's code, bold and links may stand in all texts."""

    text: str

    def markdown(self):
        return self.text

    def html(self, directory):
        return f"<p>{_inline(self.text)}</p>"


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of texts."""

    items: list

    def markdown(self):
        return "\n".join(f"- {item}" for item in self.items)

    def html(self, directory):
        items = "\n".join(f"<li>{_inline(item)}</li>" for item in self.items)
        return f"<ul>\n{items}\n</ul>"


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines of code."""

    text: str

    def markdown(self):
        return f"```\n{self.text}\n```"

    def html(self, directory):
        return f"<pre>{html.escape(self.text)}</pre>"


@dataclasses.dataclass(frozen=True)
class Table:
    """A data frame; what is missing is a dash."""

    frame: pd.DataFrame

    def markdown(self):
        header, *rows = self._lines()
        rule = ["---", *["---:"] * (len(header) - 1)]
        cells = ([c.replace("|", r"\|") for c in row] for row in (header, rule, *rows))
        return "\n".join(f"| {' | '.join(row)} |" for row in cells)

    def html(self, directory):
        header, *rows = self._lines()
        lines = [_row(header, "th"), *(_row(row, "td") for row in rows)]
        return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"

    def _lines(self):
        cells = self.frame.astype(object).where(self.frame.notna(), "–")
        return [list(map(str, row)) for row in (cells.columns, *cells.to_numpy())]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture, by its path relative to the document; inlined in HTML."""

    path: str
    caption: str

    def markdown(self):
        return f"![{self.caption}]({self.path})\n\n*{self.caption}*"

    def html(self, directory):
        data = (pathlib.Path(directory) / self.path).read_bytes()
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
        caption = _inline(self.caption)
        alt = html.escape(self.caption, quote=True)
        return (
            f'<figure><img src="{source}" alt="{alt}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )


def to_markdown(blocks):
    """Returns a document as Markdown.

    Args:
        blocks: A list of blocks.
    """
    return "\n\n".join(block.markdown() for block in blocks) + "\n"


def to_html(blocks, title, directory):
    """Returns a document as one HTML file that needs no other file and no script.

    Args:
        blocks: A list of blocks.
        title: Title of the page.
        directory: What the paths of the figures start from.
    """
    body = "\n".join(block.html(directory) for block in blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _inline(text):
    """Markdown's code, bold and links as HTML."""
    text = html.escape(text, quote=False)
    for pattern, replacement in _INLINE:
        text = re.sub(pattern, replacement, text)
    return text


def _row(cells, tag):
    return "<tr>" + "".join(f"<{tag}>{_inline(c)}</{tag}>" for c in cells) + "</tr>"
