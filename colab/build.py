"""Runs the notebooks' scripts and writes them, with what they showed, as notebooks.

    python colab/build.py [name...]

The scripts are the source; a notebook is its script and the outputs.
"""

import pathlib
import re
import sys
import tempfile

import jupytext
import nbformat
from nbclient import NotebookClient

# TensorFlow's logs on import, which no setting stops.
_LOGS = re.compile(r"(WARNING: All log|To enable the following|[IWE]\d{4} ).*\n?")
FOLDER = pathlib.Path(__file__).parent


def scripts():
    """Returns the scripts' paths, sorted."""
    return sorted(set(FOLDER.glob("*.py")) - {pathlib.Path(__file__)})


def run(script):
    """Returns the notebook of a script, run in an empty directory."""
    notebook = jupytext.read(script)
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    with tempfile.TemporaryDirectory() as directory:
        resources = {"metadata": {"path": directory}}
        NotebookClient(notebook, timeout=300, resources=resources).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_log(output)]
    return notebook


def _is_log(output):
    return output.get("name") == "stderr" and not _LOGS.sub("", output.text).strip()


def _write(notebook, path):
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"  # not a new one each time
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for script in [p for p in scripts() if not sys.argv[1:] or p.stem in sys.argv[1:]]:
        print(script.stem, flush=True)
        _write(run(script), script.with_suffix(".ipynb"))
