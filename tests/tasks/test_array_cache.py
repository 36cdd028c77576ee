"""Cached arrays come back whole or not at all."""

import os

import numpy as np
import pytest

from lrlearn.tasks import array_cache

ARRAYS = {"x": np.arange(6000, dtype="uint8").reshape(-1, 2), "y": np.arange(3)}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("LRLEARN_CACHE", str(tmp_path / "cache"))
    return array_cache.path("mnist", "/data")


def test_round_trip(file, tmp_path):
    assert array_cache.read(file, "s") is None
    array_cache.write(file, "s", ARRAYS)
    arrays = array_cache.read(file, "s")
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype
    assert os.listdir(tmp_path / "cache") == [file.name]


def test_another_stamp_is_stale(file):
    array_cache.write(file, "s", ARRAYS)
    assert array_cache.read(file, "t") is None


def test_a_source_has_its_own_file(file):
    assert file != array_cache.path("mnist", "/other")
    assert file != array_cache.path("cifar10", "/data")


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("LRLEARN_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = array_cache.path("mnist", "/data")
    assert file.parent == tmp_path / ".cache" / "lrlearn"


@pytest.mark.parametrize("position", np.linspace(0, 1, 12, endpoint=False))
@pytest.mark.parametrize("damage", ["truncated", "changed"])
def test_a_damaged_file_never_gives_wrong_arrays(file, damage, position):
    array_cache.write(file, "s", ARRAYS)
    content = bytearray(file.read_bytes())
    at = int(position * len(content))
    content = content[:at] if damage == "truncated" else content
    if damage == "changed":
        content[at : at + 40] = bytes(b ^ 255 for b in content[at : at + 40])
    file.write_bytes(content)
    arrays = array_cache.read(file, "s")
    if arrays is not None:  # the zip format has bytes that nothing depends on
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)
    if damage == "truncated" or 0.1 < position < 0.8:  # inside the arrays
        assert arrays is None


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    array_cache.write(file, "s", ARRAYS)

    def fail(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(UserWarning, match="Could not cache.*disk full"):
        array_cache.write(file, "s", {"x": np.zeros(1)})
    assert len(array_cache.read(file, "s")["x"]) == 3000
    assert os.listdir(file.parent) == [file.name]


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="Could not cache"):
        array_cache.write(tmp_path / "file" / "a.npz", "s", ARRAYS)
