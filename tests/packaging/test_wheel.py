"""The wheel is well made, holds only the package, and trains on each backend."""

import email
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

import lrlearn
from lrlearn.optimizers import presets

pytestmark = pytest.mark.packaging
ROOT = pathlib.Path(__file__).parents[2]
BACKENDS = ("tensorflow", "jax", "torch")


def _run(*command, **environment):
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONPATH": "", **environment},
        cwd=environment.get("HOME"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory):
    """Built from a copy: setuptools leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    archive = _run("git", "-C", ROOT, "ls-files", "-z")
    copy = folder / "copy"
    for name in filter(None, archive.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_contents(wheel):
    """Nothing but lrlearn, with its presets."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"lrlearn", f"lrlearn-{lrlearn.__version__}.dist-info"}
    wanted = {
        f"lrlearn/optimizers/presets/{preset}/{file}"
        for preset in presets.built_in()
        for file in ("README.md", "config.json", "theta.safetensors")
    }
    assert {"lrlearn/optimizers/card.md.j2", *wanted} <= set(names)


def test_an_index_takes_it(wheel):
    """Its description renders, and has no links to files beside README."""
    _run(sys.executable, "-m", "twine", "check", "--strict", wheel)
    metadata = _metadata(wheel)
    links = [part.split(")")[0] for part in metadata.get_payload().split("](")[1:]]
    assert links and all(link.startswith("https://") for link in links)


def test_no_backend_is_asked_for(wheel):
    """But by the extras."""
    needed = [r for r in _metadata(wheel).get_all("Requires-Dist") if "extra" not in r]
    assert not any(backend in need for need in needed for backend in BACKENDS)


@pytest.mark.parametrize(
    "backend",
    # CI as a whole runs in a new environment with TensorFlow.
    [pytest.param("tensorflow", marks=pytest.mark.slow), "jax", "torch"],
)
def test_it_trains(wheel, backend, tmp_path):
    """In a new environment with this backend alone."""
    python = tmp_path / "venv" / "bin" / "python"
    _run(sys.executable, "-m", "venv", tmp_path / "venv")
    constraints = ROOT / ".ci" / "constraints.txt"
    _run(python, "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[{backend}]")
    program = pathlib.Path(__file__).with_name("train_a_step.py").read_text()
    home = {"HOME": str(tmp_path), "KERAS_BACKEND": backend}
    assert backend in _run(python, "-c", program, **home)
