"""Markdown and HTML say the same; the HTML needs nothing else."""

import base64
import html.parser

import pandas as pd
import pytest

from paper.report.document import (
    Bullets,
    Code,
    Figure,
    Heading,
    Paragraph,
    Table,
    to_html,
    to_markdown,
)

BLOCKS = [
    Heading("Title & more", 1),
    Paragraph("**Bold** and `code` and [a link](x.md), 1 < 2."),
    Bullets(["one", "two"]),
    Table(pd.DataFrame({"optimizer": ["a|b", "c"], "x": ["**1**", None]})),
    Code("python -m x --y=<z>"),
    Figure("figures/f.png", "A caption"),
]


class Tags(html.parser.HTMLParser):
    """Collects tags and text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def page(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "f.png").write_bytes(b"picture")
    return Tags(to_html(BLOCKS, "Title", tmp_path))


def test_markdown():
    assert to_markdown(BLOCKS) == (
        "# Title & more\n\n"
        "**Bold** and `code` and [a link](x.md), 1 < 2.\n\n"
        "- one\n- two\n\n"
        "| optimizer | x |\n| --- | ---: |\n| a\\|b | **1** |\n| c | – |\n\n"
        "```\npython -m x --y=<z>\n```\n\n"
        "![A caption](figures/f.png)\n\n*A caption*\n"
    )


def test_html_has_the_same_text(page):
    for text in ("Title & more", "Bold and code and a link, 1 < 2.", "a|b", "–"):
        assert text in page.text
    assert "python -m x --y=<z>" in page.text and "**" not in page.text
    tags = [tag for tag, _ in page.tags]
    assert tags.count("li") == 2 and tags.count("td") == 4 and tags.count("th") == 2
    assert tags.count("strong") == 2 and tags.count("code") == 1


def test_html_needs_no_other_file_and_is_escaped(page):
    tags = dict(page.tags)
    data = base64.b64encode(b"picture").decode()
    assert tags["img"]["src"] == f"data:image/png;base64,{data}"
    assert tags["img"]["alt"] == "A caption"
    source = to_html([Paragraph("1 < 2 & **<b>**")], "<", "")
    assert "<p>1 &lt; 2 &amp; <strong>&lt;b&gt;</strong></p>" in source
    assert "<title>&lt;</title>" in source


def test_html_has_no_script(page):
    tags = dict(page.tags)
    assert not {"script", "link", "iframe"} & set(tags)
