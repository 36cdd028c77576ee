"""An append-only store of rows: JSON lines that survive a crash at any time."""

import contextlib
import fcntl
import gzip
import json
import os
import pathlib
import warnings
import zlib
from typing import NamedTuple

from paper.grid.rows import is_row

VERSION = 2


class _File(NamedTuple):
    """What is in a file: `header` is `None` where nothing was written yet."""

    path: pathlib.Path
    header: dict | None
    lines: list
    rest: bytes


def read(directory):
    """Returns the rows of all files of a store, each key once, in order of writing.

    A last line without its end is what a killed writer left: it is passed over with
    a warning, and so is a line that is no row. Files may be compressed (`.jsonl.gz`).

    Args:
        directory: Path of the store.

    Returns:
        A list of dicts.

    Raises:
        FileNotFoundError: If there is no store.
        ValueError: If a file is of another version, or of another grid than the others.
    """
    _, rows = _read(directory)
    return rows


class Writer:
    """Appends rows to one file of a store; one process at a time may.

    Rows are flushed to the disk before `append` returns. What a killed writer left of
    a row is cut off before the first one is appended.

    Args:
        directory: Path of the store; made if need be.
        grid: What the rows belong to, as JSON types: a name and whatever fixes it.
        shard: Name of the file, so that several processes can write to one store.
            Defaults to `"rows"`.

    Raises:
        ValueError: If the store belongs to another grid or version, or if another
            process writes to the same file.
    """

    def __init__(self, directory, grid, shard="rows"):
        self.path = pathlib.Path(directory) / f"{shard}.jsonl"
        self._header = {"version": VERSION, "grid": json.loads(json.dumps(grid))}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for file in _files(directory):
            self._check(_load(file))
        self._file = self.path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise ValueError(
                f"A file of a store must have one writer. Received: {self.path}, to "
                "which another process is writing"
            ) from None
        self._mend()

    def append(self, rows):
        """Adds a list of rows all at once.

        Args:
            rows: Dicts such as `grid.rows.is_row` describes.
        """
        lines = b"".join(_line(row) for row in rows)
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self):
        """Lets others write."""
        self._file.close()

    def __enter__(self):
        """Returns itself; closes at the end of the block."""
        return self

    def __exit__(self, *_):
        """See `__enter__`."""
        self.close()

    def _check(self, file):
        if file.header not in (None, self._header):
            raise ValueError(
                f"A store must be new or of the same grid. Received: {file.path}, of "
                f"{_name(file.header)}, for {_name(self._header)}"
            )

    def _mend(self):
        """Cuts off an unfinished line, and writes the header of a new file."""
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            self._file.truncate(whole)
        if whole == 0:
            self.append([self._header])


def export(directory, file):
    """Writes all rows of a store to one compressed file, the same bytes each time.

    Args:
        directory: Path of the store.
        file: Path of the `.jsonl.gz` file; the store that it lies in can be read.
    """
    header, rows = _read(directory)
    lines = [_line(row) for row in [header, *rows] if row is not None]
    file = pathlib.Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.part")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    partial.write_bytes(gzip.compress(b"".join(lines), mtime=0))
    partial.replace(file)


def _files(directory):
    directory = pathlib.Path(directory)
    return sorted([*directory.glob("*.jsonl"), *directory.glob("*.jsonl.gz")])


def _read(directory):
    """Returns the header of a store and its rows."""
    files = [_load(path) for path in _files(directory)]
    if not files:
        raise FileNotFoundError(f"No store of rows (*.jsonl) in {directory}")
    header = _header(files)
    rows = {}
    for file in files:
        for row in _rows(file):
            rows.setdefault(row["key"], row)
    return header, list(rows.values())


def _load(path):
    """Returns a file's content as a `_File`."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path} cannot be decompressed: {error}") from None
    *lines, rest = content.split(b"\n")
    if not lines:
        return _File(path, None, [], rest)
    try:
        header = json.loads(lines[0])
        version = header["version"]
    except (ValueError, KeyError, TypeError):
        version = None
    if version != VERSION:
        raise ValueError(
            f"A store must be of version {VERSION}. Received: {path}, of {version}"
        )
    return _File(path, header, lines[1:], rest)


def _header(files):
    """Returns what all files begin with, `None` where nothing was written yet."""
    files = [file for file in files if file.header is not None]
    for file in files:
        if file.header != files[0].header:
            raise ValueError(
                f"A store must be of one grid. Received: {files[0].path}, of "
                f"{_name(files[0].header)}, and {file.path}, of {_name(file.header)}"
            )
    return files[0].header if files else None


def _name(header):
    grid = header.get("grid", {})
    return f"grid {grid.get('name')!r} ({grid.get('digest')})"


def _rows(file):
    if file.header is not None and file.rest:
        _warn(f"{file.path} ends within a row, which is passed over.")
    for number, line in enumerate(file.lines, 2):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if is_row(row):
            yield row
        else:
            _warn(f"{file.path}: line {number} is no row and is passed over.")


def _warn(text):
    warnings.warn(text, stacklevel=4)


def _line(row):
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"
