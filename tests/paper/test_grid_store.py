"""A store keeps whole rows, whatever happens to its writers."""

import concurrent.futures
import gzip
import json
import subprocess
import sys
import threading

import pytest

from paper.grid import store

GRID = {"name": "tiny", "digest": "abc", "seeds": 2, "horizons": (("*", 1),)}
OTHER = {**GRID, "digest": "def", "seeds": 3}
ROWS = [{"key": str(i), "kind": "run", "value": float("inf")} for i in range(3)]


def write(directory, rows, grid=GRID):
    store.begin(directory, grid)
    store.append(directory, rows)


def test_rows_come_back_in_order(tmp_path):
    rows = [{"key": key, "grid": "tiny"} for key in "cab"]
    write(tmp_path, rows[:2])
    write(tmp_path, rows[2:])
    assert store.read(tmp_path) == store.begin(tmp_path, GRID) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["rows.sqlite"]


def test_a_key_that_is_there_is_passed_over(tmp_path):
    write(tmp_path, ROWS[:2])
    write(tmp_path, [{**ROWS[1], "value": 0.0}, ROWS[2]])
    assert store.read(tmp_path) == ROWS


# A process without TensorFlow, which takes long to import.
_KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
connection.execute("BEGIN IMMEDIATE")
for i in range(100):
    connection.execute("INSERT INTO rows VALUES (?, ?)", (f"cut {i}", "x" * 9999))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_whole_rows_and_no_lock(tmp_path):
    write(tmp_path, ROWS[:2])
    size = (tmp_path / "rows.sqlite").stat().st_size
    subprocess.run([sys.executable, "-c", _KILLED, tmp_path / "rows.sqlite"])
    assert (tmp_path / "rows.sqlite").stat().st_size > size + 100_000
    assert store.read(tmp_path) == ROWS[:2]
    write(tmp_path, ROWS[2:])
    assert store.read(tmp_path) == ROWS


def test_several_writers_begin_and_write_at_once(tmp_path):
    barrier = threading.Barrier(4)

    def write_many(writer):
        barrier.wait()
        for i in range(10):
            write(tmp_path, [{"key": f"{writer} {i}"}, {"key": f"shared {i}"}])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write_many, range(4)))
    keys = {row["key"] for row in store.read(tmp_path)}
    assert keys == {f"{w} {i}" for w in (0, 1, 2, 3, "shared") for i in range(10)}


def test_another_grid_is_refused_and_nothing_is_lost(tmp_path):
    write(tmp_path, ROWS)
    with pytest.raises(
        ValueError,
        match=r"one grid with the same settings.* of a grid with seeds 2, not 3$",
    ):
        store.begin(tmp_path, OTHER)
    assert store.read(tmp_path) == ROWS


def test_files_of_two_grids_are_refused(tmp_path):
    write(tmp_path / "a", ROWS[:1])
    write(tmp_path / "b", ROWS[1:], OTHER)
    (tmp_path / "b" / "rows.sqlite").rename(tmp_path / "a" / "others.sqlite")
    with pytest.raises(
        ValueError, match=r"of one grid .* of a grid with seeds [23], not [23]$"
    ):
        store.read(tmp_path / "a")


def test_no_store_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="No store of rows"):
        store.read(tmp_path / "nowhere")


def test_an_export_holds_all_rows_and_is_the_same_each_time(tmp_path):
    write(tmp_path / "store", ROWS)
    paths = [tmp_path / name / "rows.jsonl.gz" for name in "ab"]
    for path in paths:
        store.export(tmp_path / "store", path)
        assert store.read(path) == store.read(path.parent) == ROWS
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_an_export_can_be_gone_on_with(tmp_path):
    write(tmp_path / "store", ROWS[:2])
    file = tmp_path / "export" / "rows.jsonl.gz"
    store.export(tmp_path / "store", file)
    with pytest.raises(ValueError, match="of one grid"):
        store.begin(file.parent, OTHER)
    assert list(file.parent.iterdir()) == [file]
    assert store.begin(file.parent, GRID) == ROWS[:2]
    write(file.parent, [{**ROWS[1], "value": 0.0}, ROWS[2]])
    assert sorted(store.read(file.parent), key=lambda r: r["key"]) == ROWS


def damage(path, kind):
    content = path.read_bytes()
    header = {"version": 2, "grid": GRID}
    path.write_bytes(
        {
            "empty": b"",
            "cut off": content[: len(content) // 2],
            "another file": b"no store at all" * 1000,
            "no JSON": gzip.compress(b"no store"),
            "a list": gzip.compress(b"[1]\n[2]"),
            "no key": gzip.compress(f'{json.dumps(header)}\n{{"a": 1}}'.encode()),
            "version": gzip.compress(b'{"version": 1}'),
        }[kind]
    )


@pytest.mark.parametrize("kind", ["empty", "cut off", "another file"])
def test_a_damaged_store_is_said(tmp_path, kind):
    write(tmp_path, [{"key": str(i), "text": "x" * 9999} for i in range(9)])
    damage(tmp_path / "rows.sqlite", kind)
    with pytest.raises(ValueError, match="rows.sqlite is no store of rows, or damaged"):
        store.read(tmp_path)
    if kind != "empty":
        with pytest.raises(ValueError, match="rows.sqlite (is no|cannot be written)"):
            store.begin(tmp_path, GRID)


@pytest.mark.parametrize(
    "kind",
    ["empty", "cut off", "another file", "no JSON", "a list", "no key", "version"],
)
def test_a_damaged_export_is_said(tmp_path, kind):
    write(tmp_path / "store", ROWS)
    file = tmp_path / "export" / "rows.jsonl.gz"
    store.export(tmp_path / "store", file)
    damage(file, kind)
    with pytest.raises(ValueError, match="rows.jsonl.gz is no store of rows, or damag"):
        store.read(file.parent)


def test_what_is_no_file_of_sqlite_is_left_alone(tmp_path):
    (tmp_path / "rows.sqlite").mkdir()
    with pytest.raises(ValueError, match="cannot be written to: unable to open"):
        store.begin(tmp_path, GRID)
