"""The documentation is whole: every public name has its place in the reference."""

import configparser
import importlib
import pathlib

import pytest

import lrlearn

ROOT = pathlib.Path(__file__).parents[2]
API = ROOT / "docs" / "api"
PACKAGES = sorted(set(lrlearn.__all__) & {page.stem for page in API.glob("*.md")})


def test_every_package_has_a_page():
    """And no other name of `lrlearn` lacks one, but its classes."""
    others = set(lrlearn.__all__) - set(PACKAGES)
    classes = {"LearnedOptimizer", "MetaTrainer", "RunLength", "SharpnessAwareModel"}
    assert others == classes


@pytest.mark.parametrize("name", PACKAGES)
def test_a_page_shows_the_package(name):
    """Which shows what `__all__` names, with docstrings."""
    assert f"::: lrlearn.{name}\n" in (API / f"{name}.md").read_text()
    package = importlib.import_module(f"lrlearn.{name}")
    assert all(getattr(package, public).__doc__ for public in package.__all__)


def test_one_repository():
    """The site and the notebooks name the repository of the package."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    url = config["metadata"]["url"]
    assert f"repo_url: {url}\n" in (ROOT / "mkdocs.yml").read_text()
    for notebook in (ROOT / "colab").glob("*.ipynb"):
        text = notebook.with_suffix(".py").read_text()
        assert f'repository = "{url}"\n' in text
        slug = url.removeprefix("https://github.com/")
        page = f"github/{slug}/blob/main/colab/{notebook.name})"
        assert f"https://colab.research.google.com/{page}" in text
