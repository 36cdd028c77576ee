"""The examples of README and of the documentation run as pasted."""

import pathlib
import re

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.long

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if "```python" in page.read_text()
]


@pytest.fixture(autouse=True)
def _small_data(monkeypatch, tmp_path):
    """MNIST in its own shape and type, with few images and no download."""
    rng = np.random.default_rng(0)

    def split(n):
        x = rng.integers(0, 256, (n, 28, 28)).astype("uint8")
        return x, rng.integers(0, 10, n).astype("uint8")

    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: (split(256), split(64))
    )
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples(page):
    """All blocks of a page, one after the other."""
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names = {"__name__": f"docs_{page.stem}"}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
