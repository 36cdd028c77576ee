"""Damaged files are refused in one line, or read as if nothing had happened."""

import hashlib
import json
import pathlib
import resource
import shutil
import signal
import warnings
import zipfile

import keras
import numpy as np
import pytest

import lrlearn
from lrlearn.meta.checkpoint import CheckpointDirectory
from lrlearn.optimizers import presets
from paper.grid import store
from tests.soak.mutations import mutate, mutate_json

pytestmark = pytest.mark.soak

PRESET = presets.built_in()["lo_sam"]
SECONDS = 20
MEMORY = 2**30  # more than any of these files, far less than what a header may claim


@pytest.fixture(autouse=True)
def _limits():
    """Ends a file that takes too long or too much."""

    def hang(*_):
        pytest.fail(f"A file was not read within {SECONDS} s.")

    previous = signal.signal(signal.SIGALRM, hang)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = pathlib.Path("/proc/self/statm").read_text().split()[0]
    used = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
    signal.signal(signal.SIGALRM, previous)


def tally(read, damage, files, errors=(ValueError,), lines=1):
    """Reads damaged files; prints how many were refused.

    Args:
        read: Function without arguments that reads what `damage` wrote.
        damage: Function of a random generator that writes a damaged file.
        files: Number of files.
        errors: The error classes that are declared.
        lines: Most lines of a message; `None` for any number.
    """
    refused = 0
    for seed in range(files):
        damage(np.random.default_rng(seed))
        signal.alarm(SECONDS)
        try:
            read()
        except errors as error:
            assert lines is None or str(error).count("\n") < lines, (seed, str(error))
            refused += 1
        except Exception as error:
            raise AssertionError(f"file {seed}: {error!r}") from error
        finally:
            signal.alarm(0)
    print(f"\n{files} files, {refused} refused")
    assert refused > 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", mutate),
        ("config.json", mutate_json),
        ("theta.safetensors", mutate),
    ],
)
def test_presets(tmp_path, name, change):
    """Also with the right hash, by which damage to the weights is found first."""
    directory = tmp_path / "preset"
    shutil.copytree(PRESET, directory)
    content = (directory / name).read_bytes()
    config = json.loads((directory / "config.json").read_text())

    def damage(rng):
        damaged = change(content, rng)
        (directory / name).write_bytes(damaged)
        if name == "theta.safetensors":
            config["theta_sha256"] = hashlib.sha256(damaged).hexdigest()
            (directory / "config.json").write_text(json.dumps(config))

    tally(lambda: presets.load_preset(directory), damage, 1500)


def test_packed_presets(tmp_path, monkeypatch):
    """Zip files whose hash is right."""
    monkeypatch.setenv("LRLEARN_HOME", str(tmp_path / "home"))
    directory = tmp_path / "preset"
    shutil.copytree(PRESET, directory)
    presets.pack_preset(directory)
    path, url = tmp_path / "preset.zip", []
    content = path.read_bytes()

    def damage(rng):
        damaged = mutate(content, rng)
        path.write_bytes(damaged)
        url[:] = [f"file://{path}#sha256={hashlib.sha256(damaged).hexdigest()}"]

    tally(lambda: presets.load_preset(*url), damage, 2000)
    assert {p.name for p in tmp_path.iterdir()} <= {"preset", "preset.zip", "home"}


def test_checkpoints(tmp_path):
    """The one before is taken; each warning is one line."""
    with CheckpointDirectory(tmp_path, {"seed": 0}) as directory:
        for step in (1, 2):
            arrays = {"w": np.full(500, step, "float32"), "n": np.array(step)}
            directory.save(step, arrays)
        path = tmp_path / "checkpoint-00000002.safetensors"
        content = path.read_bytes()

        def read():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                found = int(directory.load()["n"])
            assert found == (1 if caught else 2)
            if caught:
                raise ValueError(str(caught[0].message))

        tally(read, lambda rng: path.write_bytes(mutate(content, rng)), 2000)


@pytest.mark.parametrize("kind", ["store", "export"])
def test_result_stores(tmp_path, kind):
    """SQLite files and compressed exports."""
    store.begin(tmp_path, {"name": "tiny"})
    rows = [{"key": f"{i}", "kind": "run", "value": [i / 3] * 50} for i in range(50)]
    store.append(tmp_path, rows)
    path = tmp_path / "rows.sqlite"
    if kind == "export":
        store.export(tmp_path, tmp_path / "export" / "rows.jsonl.gz")
        path = tmp_path / "export" / "rows.jsonl.gz"
    content = path.read_bytes()

    def damage(rng):
        path.write_bytes(mutate(content, rng))

    tally(lambda: store.read(path), damage, 1000)


def test_keras_files(tmp_path):
    """Our part of a `.keras` file: the optimizer's configuration.

    Keras reads it, and says so in several lines.
    """
    optimizer = lrlearn.LearnedOptimizer.from_preset("lo_sam")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer, "mse")
    path = tmp_path / "model.keras"
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    own = config["compile_config"]["optimizer"]["config"]

    def damage(rng):
        config["compile_config"]["optimizer"]["config"] = json.loads(
            mutate_json(json.dumps(own), rng)
        )
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                changed = name == "config.json"
                archive.writestr(name, json.dumps(config) if changed else content)

    errors = ValueError, TypeError
    tally(lambda: keras.models.load_model(path), damage, 500, errors, lines=None)
