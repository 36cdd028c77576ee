"""An append-only store of rows: JSON lines that survive a crash at any time."""

import contextlib
import fcntl
import gzip
import json
import os
import pathlib
import warnings
import zlib

VERSION = 1
_REQUIRED = ("key", "kind", "cell", "settings")


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
    files = _files(directory)
    if not files:
        raise FileNotFoundError(f"No store of rows (*.jsonl) in {directory}")
    _check_one_grid(files)
    rows = {}
    for file in files:
        for row in _read(file):
            rows.setdefault(row["key"], row)
    return list(rows.values())


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
            self._check(file)
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
            rows: Dicts with at least `key`, `kind`, `cell` and `settings`.
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
        found = _header(file)
        if found not in (None, self._header):
            raise ValueError(
                f"A store must be new or of the same grid. Received: {file}, of "
                f"{_name(found)}, for {_name(self._header)}"
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
    header = _header(_files(directory)[0])
    lines = [_line(row) for row in [header, *read(directory)]]
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


def _lines(file):
    """Returns the whole lines of a file, and what is left of one that was cut off."""
    content = file.read_bytes()
    if file.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{file} cannot be decompressed: {error}") from None
    *whole, rest = content.split(b"\n")
    return whole, rest


def _header(file):
    """Returns the first line of a file, or `None` where nothing was written yet."""
    lines, _ = _lines(file)
    if not lines:
        return None
    try:
        header = json.loads(lines[0])
        version = header["version"]
    except (ValueError, KeyError, TypeError):
        version = None
    if version != VERSION:
        raise ValueError(
            f"A store must be of version {VERSION}. Received: {file}, of {version}"
        )
    return header


def _check_one_grid(files):
    headers = {file: header for file in files if (header := _header(file)) is not None}
    for file, header in headers.items():
        first = next(iter(headers))
        if header != headers[first]:
            raise ValueError(
                f"A store must be of one grid. Received: {first}, of "
                f"{_name(headers[first])}, and {file}, of {_name(header)}"
            )


def _name(header):
    grid = header["grid"]
    return f"grid {grid['name']!r} ({grid['digest']})"


def _read(file):
    if _header(file) is None:
        return
    lines, rest = _lines(file)
    if rest:
        warnings.warn(f"{file} ends within a row, which is passed over.", stacklevel=3)
    for number, line in enumerate(lines[1:], 2):
        try:
            row = json.loads(line)
            _ = [row[name] for name in _REQUIRED]
        except (ValueError, KeyError, TypeError):
            warnings.warn(
                f"{file}: line {number} is no row and is passed over.", stacklevel=3
            )
            continue
        yield row


def _line(row):
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"
