"""A file is written whole or not at all."""

import pytest

from lrlearn import files


def test_write_atomically_leaves_the_old_file(tmp_path, monkeypatch):
    """Where writing fails; and nothing half-written beside it."""
    file = tmp_path / "file"
    files.write_atomically(file, b"old")

    def fail(descriptor):
        raise OSError("No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(file, b"new")
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("file", b"old")]
