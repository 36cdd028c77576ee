"""The notebooks are those of their scripts, and run."""

import importlib.util
import pathlib

import pytest

pytestmark = pytest.mark.notebooks
COLAB = pathlib.Path(__file__).parents[2] / "colab"
NAMES = (
    "adaptive_teachers",
    "beyond_images",
    "how_flat_is_it",
    "meta_train_your_own",
    "quickstart",
)


@pytest.fixture(name="build", scope="module")
def _build():
    """The program `colab/build.py`; it needs the extra `notebooks`."""
    spec = importlib.util.spec_from_file_location("build", COLAB / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build


def test_names(build):
    """Every script has a notebook, every notebook a script."""
    assert tuple(path.stem for path in build.scripts()) == NAMES
    assert tuple(path.stem for path in sorted(COLAB.glob("*.ipynb"))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_notebook_and_script_agree(build, name):
    """Cell by cell; the notebook has outputs, no mistakes among them, and is small."""
    notebook = build.nbformat.read(COLAB / f"{name}.ipynb", as_version=4)
    build.nbformat.validate(notebook)
    script = build.jupytext.read(COLAB / f"{name}.py")
    assert [(c.cell_type, c.source) for c in notebook.cells] == [
        (c.cell_type, c.source) for c in script.cells
    ]
    assert any("image/png" in o.get("data", {}) for o in _outputs(notebook))
    _check(notebook)
    assert (COLAB / f"{name}.ipynb").stat().st_size < 300_000


@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs(build, name):
    """From start to end, offline, without an error or a warning."""
    _check(build.run(COLAB / f"{name}.py"))


def _outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def _check(notebook):
    for output in _outputs(notebook):
        assert output.output_type != "error", output
        assert output.get("name") != "stderr", output.text
