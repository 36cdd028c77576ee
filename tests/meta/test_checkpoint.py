"""Checkpoints are whole or passed over."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lrlearn.meta.checkpoint import CheckpointDirectory

CONFIG = {"seed": 0, "horizon": (100, 1000)}


def _files(path):
    files = (file for file in path.iterdir() if file.name != ".lock")
    return {file.name: file.read_bytes() for file in files}


def _open(*arguments, **named):
    """Returns a directory that this process has had."""
    with CheckpointDirectory(*arguments, **named) as store:
        return store


def _truncate(path, size=100):
    path.write_bytes(path.read_bytes()[:size])


def _save(store, *steps):
    for step in steps:
        store.save(step, {"w": np.full(50, step), "n": np.array(step)})


def test_round_trip(tmp_path):
    """The newest, with scalars, shapes and types as they were."""
    store = _open(tmp_path / "run", CONFIG)
    assert store.load() is None
    arrays = {"a": np.float32([[1.5]]), "b": np.array(3, "int64"), "c": np.zeros(0)}
    _save(store, 3)
    store.save(20, arrays)
    loaded = _open(tmp_path / "run", CONFIG).load()
    assert loaded.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(loaded[name], value)
        assert (loaded[name].dtype, loaded[name].shape) == (value.dtype, value.shape)


def test_only_the_newest_are_kept(tmp_path):
    """Two by default, and no partial file."""
    store = _open(tmp_path, CONFIG)
    _save(store, 1, 2, 3)
    assert sorted(_files(tmp_path)) == [
        "checkpoint-00000002.safetensors",
        "checkpoint-00000003.safetensors",
        "config.json",
    ]


def test_one_of_some_step(tmp_path):
    store = _open(tmp_path, CONFIG)
    _save(store, 1, 2)
    assert [int(store.load(step)["n"]) for step in (1, 2)] == [1, 2]
    _truncate(tmp_path / "checkpoint-00000002.safetensors")
    for step in (2, 3):
        with pytest.raises(ValueError, match=f"checkpoint of step {step}, .* readable"):
            store.load(step)
    assert store.number() == 2


@pytest.mark.parametrize("size", [0, 5, 100])
def test_truncated_checkpoint(tmp_path, size):
    """A warning names it, and the one before is loaded."""
    store = _open(tmp_path, CONFIG)
    _save(store, 1, 2)
    _truncate(tmp_path / "checkpoint-00000002.safetensors", size)
    with pytest.warns(UserWarning, match="checkpoint-00000002.* cannot be read"):
        assert store.load()["n"] == 1


def test_flipped_bit(tmp_path):
    """As truncated: in the header, the checksum and the values."""
    store = _open(tmp_path, CONFIG)
    _save(store, 1, 2)
    path = tmp_path / "checkpoint-00000002.safetensors"
    content = path.read_bytes()
    bits = 8 * len(content)
    anywhere = np.random.default_rng(0).choice(bits, 200, replace=False)
    for bit in (0, bits // 2, bits - 1, *anywhere):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="checkpoint-00000002.* cannot be read"):
            assert store.load()["n"] == 1


def test_missing_checkpoint(tmp_path):
    """The one before is loaded."""
    store = _open(tmp_path, CONFIG)
    _save(store, 1, 2)
    (tmp_path / "checkpoint-00000002.safetensors").unlink()
    assert store.load()["n"] == 1


_HAVE = """
import sys
from lrlearn.meta.checkpoint import CheckpointDirectory
with CheckpointDirectory(sys.argv[1], {"seed": 0}):
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_two_processes(tmp_path):
    """The second is refused, until the first is dead."""
    first = subprocess.Popen(
        [sys.executable, "-c", _HAVE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
    )
    with first:
        try:
            assert first.stdout.readline() == b"mine\n"
            with pytest.raises(ValueError, match="by one process at a time. Received"):
                _open(tmp_path, {"seed": 0})
        finally:
            first.kill()
    _open(tmp_path, {"seed": 0})


def test_full_disk(tmp_path, monkeypatch):
    """An error of the system's; what was there stays, and nothing else is left."""
    store = _open(tmp_path, CONFIG)
    _save(store, 1)
    before = _files(tmp_path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _save(store, 2)
    assert _files(tmp_path) == before


def test_truncated_checkpoint_does_not_crowd_out_whole_ones(tmp_path):
    """Gone with the next one that is saved."""
    store = _open(tmp_path, CONFIG)
    _save(store, 10, 20)
    _truncate(tmp_path / "checkpoint-00000020.safetensors")
    _save(store, 15)
    assert sorted(_files(tmp_path))[:2] == [
        "checkpoint-00000010.safetensors",
        "checkpoint-00000015.safetensors",
    ]


def test_no_whole_checkpoint(tmp_path):
    """Never a silent start from the beginning."""
    store = _open(tmp_path, CONFIG)
    _save(store, 1, 2)
    for file in tmp_path.glob("checkpoint-*"):
        _truncate(file)
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(ValueError, match="must hold a checkpoint that can be read"),
    ):
        store.load()


def test_other_configuration(tmp_path):
    """Refused, with what differs, and not a byte is touched."""
    _save(_open(tmp_path, CONFIG), 1)
    before = _files(tmp_path)
    with pytest.raises(ValueError, match=r"same configuration.* with seed 0, not 1"):
        _open(tmp_path, {**CONFIG, "seed": 1})
    assert _files(tmp_path) == before


def test_other_task(tmp_path):
    """What is told of long lists is the entry that differs."""
    tasks = [{"name": f"task {i}", "model": i} for i in range(12)]
    _open(tmp_path, {"tasks": tasks})
    tasks = [*tasks[:-1], {**tasks[-1], "model": 12}]
    with pytest.raises(ValueError, match=r"with tasks\.11\.model 11, not 12$"):
        _open(tmp_path, {"tasks": tasks})


def test_unreadable_or_missing_configuration(tmp_path):
    """A directory whose origin is unknown is refused."""
    _save(_open(tmp_path, CONFIG), 1)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json must be JSON"):
        _open(tmp_path, CONFIG)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match="must hold config.json beside"):
        _open(tmp_path, CONFIG)


def test_workers_keep_their_own(tmp_path):
    """The first process uses the directory itself."""
    for worker in (0, 1):
        _save(_open(tmp_path, CONFIG, worker=worker), worker + 1)
    assert (tmp_path / "checkpoint-00000001.safetensors").exists()
    assert (tmp_path / "worker1" / "checkpoint-00000002.safetensors").exists()
