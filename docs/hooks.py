"""Takes into the site what lies elsewhere in the repository.

All pages link to files as they lie in the repository, so that links work there, too.
"""

import pathlib
import posixpath
import re

from mkdocs.structure.files import File

_ROOT = pathlib.Path(__file__).parents[1]
_SOURCES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/results/README.md",
    "colab/*.ipynb",
    "lrlearn/optimizers/presets/*/README.md",
    "paper/PROTOCOL.md",
    "paper/results/*.md",
    "paper/results/*/README.md",
    "paper/results/*/*.png",
    "paper/results/*/*.svg",
)
_LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)\s#]+)([^)\s]*)\)")


def on_files(files, config):
    """Adds the sources to the site's files."""
    for path in sorted({p for pattern in _SOURCES for p in _ROOT.glob(pattern)}):
        files.append(File.generated(config, _uri(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links between files into links between pages, or to the repository."""
    folder = pathlib.Path(page.file.abs_src_path).parent

    def replace(match):
        path = (folder / match[2]).resolve()
        if not path.exists() or not path.is_relative_to(_ROOT):
            return match[0]  # for --strict to report
        if files.get_file_from_path(_uri(path)):
            start = posixpath.dirname(page.file.src_uri) or "."
            target = posixpath.relpath(_uri(path), start)
        else:
            target = f"{config.repo_url}/blob/main/{path.relative_to(_ROOT)}"
        return f"{match[1]}{target}{match[3]})"

    return _LINK.sub(replace, markdown)


def _uri(path):
    """Returns a file's place in the site: pages of `docs` lie at its root."""
    relative = path.relative_to(_ROOT)
    return relative.as_posix().removeprefix("docs/")
