"""A store of rows: an SQLite file that several processes may write to at once."""

import contextlib
import gzip
import json
import pathlib
import sqlite3
import zlib

from lrlearn.checks import differences
from lrlearn.files import write_atomically

_FILE = "rows.sqlite"
_EXPORTS = "*.jsonl.gz"
_VERSION = 2
_PATIENCE = 60  # seconds to wait for another process that writes
_DAMAGE = (sqlite3.Error, zlib.error, EOFError, gzip.BadGzipFile)
_DAMAGE += (ValueError, KeyError, TypeError)


def begin(directory, grid):
    """Makes the store of a grid if there is none, and returns its rows.

    Exports that lie in the directory are part of the store. `grid` is what
    `Grid.describe` returns; a store of another grid is refused.
    """
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    header = {"version": _VERSION, "grid": json.loads(json.dumps(grid))}
    if not (directory / _FILE).exists():
        for path in directory.glob(_EXPORTS):
            _read(path, header)  # before a file of this grid lies beside it
    _insert(directory / _FILE, "meta", [("header", header)])
    return _read(directory, header)[1]


def append(directory, rows):
    """Adds rows to a store, all or none; they are on the disk when it returns.

    A row whose key is in the file is passed over.
    """
    values = [(row["key"], row) for row in rows]
    _insert(pathlib.Path(directory) / _FILE, "rows", values)


def read(path):
    """Returns the rows of a store or an export, each key once, in order of writing."""
    return _read(path)[1]


def export(store, path):
    """Writes all rows of a store to a compressed file, the same bytes each time.

    The file's name must end with `.jsonl.gz` to be read again.
    """
    header, rows = _read(store)
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{_to_json(line)}\n" for line in [header, *rows])
    write_atomically(path, gzip.compress(lines.encode(), mtime=0))


def _insert(path, table, values):
    """Writes pairs of a key and a JSON value to a table, all or none."""
    values = [(key, _to_json(value)) for key, value in values]
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        with contextlib.closing(connection), connection:
            connection.execute("BEGIN IMMEDIATE")
            for name in ("meta", "rows"):
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {name} (key TEXT PRIMARY KEY, value)"
                )
            connection.executemany(
                f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", values
            )
    except sqlite3.Error as error:
        raise ValueError(f"{path} cannot be written to: {error}") from None


def _read(path, header=None):
    """Returns the header of a store, which may be given, and its rows."""
    path = pathlib.Path(path)
    files = sorted([*path.glob(_EXPORTS), *path.glob("*.sqlite")])
    files = [path] if path.is_file() else files
    if not files:
        raise FileNotFoundError(f"No store of rows ({_FILE} or {_EXPORTS}) in {path}")
    rows = {}
    for file in files:
        found, more = _load(file)
        header = header or found
        if found != header:
            raise ValueError(
                "A store must be of one grid with the same settings; others need a "
                f"store of their own. Received: {file}, of a grid with "
                f"{'; '.join(_grid_differences(found, header))}"
            )
        for key, row in more.items():
            rows.setdefault(key, row)
    return header, list(rows.values())


def _load(file):
    """Returns the header of a file, its version and grid, and its rows by key."""
    try:
        header, *rows = map(json.loads, _texts(file))
        if header["version"] != _VERSION:
            raise ValueError(f"its version is {header['version']}, not {_VERSION}")
        return header, {row["key"]: row for row in rows}
    except _DAMAGE as error:
        raise ValueError(f"{file} is no store of rows, or damaged: {error}") from None


def _texts(file):
    if file.suffix == ".gz":
        return gzip.decompress(file.read_bytes()).splitlines()
    with contextlib.closing(sqlite3.connect(file, timeout=_PATIENCE)) as connection:
        return [
            text
            for table in ("meta", "rows")
            for (text,) in connection.execute(
                f"SELECT value FROM {table} ORDER BY rowid"
            )
        ]


def _grid_differences(found, header):
    grids = [{**each["grid"], "digest": None} for each in (found, header)]
    return differences(*grids)


def _to_json(value):
    return json.dumps(value, separators=(",", ":"))
