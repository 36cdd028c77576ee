"""Takes into the site what lies elsewhere in the repository, at the same paths."""

import pathlib
import re

from mkdocs.structure.files import File

_ROOT = pathlib.Path(__file__).parents[1]
_NOTEBOOKS = "colab/*.ipynb"
_SOURCES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "paper/PROTOCOL.md",
    "paper/results/REPORT.md",
    "paper/results/*/README.md",
    "paper/results/figures/*",
    "paper/results/*/*.png",
    "benchmarks/results/README.md",
    "lrlearn/optimizers/presets/*/README.md",
)


def on_files(files, config):
    """Adds the sources, and the notebooks under `notebooks/`."""
    for path in sorted({p for pattern in _SOURCES for p in _ROOT.glob(pattern)}):
        _add(files, config, path.relative_to(_ROOT).as_posix(), path)
    for path in sorted(_ROOT.glob(_NOTEBOOKS)):
        _add(files, config, f"notebooks/{path.name}", path)
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links to files that are no pages into links to the repository."""
    folder = pathlib.PurePosixPath(page.file.src_uri).parent

    def replace(match):
        target = match[2].partition("#")[0]
        path = pathlib.Path(_ROOT, folder, target).resolve()
        known = files.get_file_from_path((folder / target).as_posix())
        inside = path.exists() and path.is_relative_to(_ROOT)
        if known or not inside or (_ROOT / "docs") in path.parents:
            return match[0]
        return f"{match[1]}{config.repo_url}/blob/main/{path.relative_to(_ROOT)})"

    return re.sub(r"(\]\()(?!https?:|#|mailto:)([^)\s]+)\)", replace, markdown)


def _add(files, config, uri, path):
    files.append(File.generated(config, uri, abs_src_path=str(path)))
