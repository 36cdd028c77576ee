"""A store keeps whole rows, whatever happens to its writers."""

import json
import multiprocessing

import pytest

from paper.grid import store
from tests.paper.grid_rows import make_rows

GRID = {"name": "tiny", "digest": "abc", "seeds": 2}
PART = (("mnist",), ("mlp",), ("full",), ("Adam",))
ROWS = [
    {**row, "key": str(i), "value": float("inf")}
    for i, row in enumerate(make_rows(*PART, explicit=(), rules=(), seeds=3)[-3:])
]
META = make_rows(*PART, explicit=(), rules=("LSTM",), teachers=("SAM",))[0]
TUNING = make_rows(*PART, explicit=(), rules=())[0]


def write(directory, rows, shard="rows", grid=GRID):
    with store.Writer(directory, grid, shard) as out:
        out.append(rows)
    return out.path


def test_rows_come_back_in_order(tmp_path):
    write(tmp_path, ROWS[:1])
    write(tmp_path, ROWS[1:])
    assert store.read(tmp_path) == ROWS


def test_files_of_shards_are_read_together_and_keys_once(tmp_path):
    write(tmp_path, ROWS[:2], "shard-1-of-2")
    write(tmp_path, [{**ROWS[1], "value": 0.0}, ROWS[2]], "shard-2-of-2")
    assert store.read(tmp_path) == ROWS


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_row_cut_off_is_passed_over_and_then_written_anew(tmp_path, cut):
    path = write(tmp_path, ROWS)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.warns(UserWarning, match="ends within a row, which is passed over"):
        assert store.read(tmp_path) == ROWS[:2]
    write(tmp_path, [ROWS[2]])
    assert store.read(tmp_path) == ROWS


def test_a_header_cut_off_is_written_anew(tmp_path):
    path = write(tmp_path, [])
    path.write_bytes(path.read_bytes()[:-3])
    write(tmp_path, ROWS)
    assert store.read(tmp_path) == ROWS


def test_a_line_that_is_no_row_is_passed_over(tmp_path):
    path = write(tmp_path, ROWS[:1])
    with path.open("a") as file:
        file.write('{"key": "broken\n[1]\n{"key": "1", "kind": "run"}\n')
    write(tmp_path, ROWS[1:])
    with pytest.warns(UserWarning, match="line [345] is no row") as warned:
        assert store.read(tmp_path) == ROWS
    assert len(warned) == 3


@pytest.mark.parametrize("row", [ROWS[0], TUNING, META], ids=["run", "tuning", "meta"])
def test_rows_of_another_shape_are_passed_over(tmp_path, row):
    parts = {"meta": ["theta"], "tuning": ["trials", "chosen"]}
    parts = parts.get(row["kind"], ["records", "hyperparameters", "end"])
    cell = row["cell"]
    wrong = [
        *(
            {k: v for k, v in row.items() if k != p}
            for p in ("key", "settings", *parts)
        ),
        *({**row, part: [1]} for part in parts),
        *({**row, "cell": other} for other in ({}, [1], None)),
        {**row, "cell": {**cell, "optimizer": ["Adam"]}},
        {**row, "cell": {k: v for k, v in cell.items() if k != "optimizer"}},
        {**row, "kind": "walk"},
        {**row, "kind": ["run"]},
        {**row, "key": ["0"]},
    ]
    write(tmp_path, [*wrong, row])
    with pytest.warns(UserWarning, match="is no row and is passed over") as warned:
        assert store.read(tmp_path) == [row]
    assert len(warned) == len(wrong)


def test_another_grid_is_refused_and_nothing_is_lost(tmp_path):
    write(tmp_path, ROWS)
    other = {**GRID, "seeds": 3, "digest": "def"}
    for shard in ("rows", "other"):
        with pytest.raises(ValueError, match=r"same grid. Received: .*tiny' \(abc\)"):
            store.Writer(tmp_path, other, shard)
    assert store.read(tmp_path) == ROWS


def test_files_of_two_grids_are_refused(tmp_path):
    write(tmp_path / "a", ROWS[:1])
    path = write(tmp_path / "b", ROWS[1:], "other", {**GRID, "digest": "def"})
    path.rename(tmp_path / "a" / path.name)
    with pytest.raises(ValueError, match=r"of one grid. Received: .*\(def\).*\(abc\)"):
        store.read(tmp_path / "a")


@pytest.mark.parametrize("header", ['{"version": 0, "grid": {}}', "no header", "[]"])
def test_another_version_is_refused(tmp_path, header):
    (tmp_path / "rows.jsonl").write_text(header + "\n")
    for use in (store.read, lambda directory: store.Writer(directory, GRID)):
        with pytest.raises(ValueError, match="must be of version 2. Received: .*rows"):
            use(tmp_path)
    assert (tmp_path / "rows.jsonl").read_text() == header + "\n"


def _append(directory, answers):
    try:
        write(directory, ROWS[1:])
        answers.put("written")
    except ValueError as error:
        answers.put(str(error))


def test_a_second_writer_is_refused_while_the_first_writes(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with store.Writer(tmp_path, GRID) as out:
        second = context.Process(target=_append, args=(tmp_path, answers))
        second.start()
        assert "another process is writing" in answers.get(timeout=60)
        out.append(ROWS[:1])
        second.join()
    _append(tmp_path, answers)
    assert answers.get(timeout=60) == "written"
    assert store.read(tmp_path) == ROWS


def test_no_store_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="No store of rows"):
        store.read(tmp_path / "nowhere")


def test_an_export_holds_all_rows_and_is_the_same_each_time(tmp_path):
    write(tmp_path / "store", ROWS[:2], "shard-1-of-2")
    write(tmp_path / "store", ROWS[2:], "shard-2-of-2")
    for name in ("a", "b"):
        store.export(tmp_path / "store", tmp_path / name / "rows.jsonl.gz")
    assert store.read(tmp_path / "a") == ROWS
    a, b = ((tmp_path / name / "rows.jsonl.gz").read_bytes() for name in ("a", "b"))
    assert a == b


def test_an_export_has_the_header_of_a_file_that_has_one(tmp_path):
    write(tmp_path / "store", ROWS, "shard-2-of-2")
    (tmp_path / "store" / "shard-1-of-2.jsonl").touch()
    store.export(tmp_path / "store", tmp_path / "export" / "rows.jsonl.gz")
    assert store.read(tmp_path / "export") == ROWS


def test_an_export_can_be_gone_on_with(tmp_path):
    write(tmp_path / "store", ROWS[:2])
    store.export(tmp_path / "store", tmp_path / "export" / "rows.jsonl.gz")
    write(tmp_path / "export", ROWS[2:])
    assert sorted(store.read(tmp_path / "export"), key=lambda r: r["key"]) == ROWS
    with pytest.raises(ValueError, match="same grid"):
        store.Writer(tmp_path / "export", {**GRID, "digest": "def"})


def test_rows_are_on_the_disk_when_append_returns(tmp_path):
    with store.Writer(tmp_path, GRID) as out:
        out.append(ROWS)
        lines = out.path.read_text().splitlines()
        assert [json.loads(line)["key"] for line in lines[1:]] == ["0", "1", "2"]


def test_a_damaged_archive_is_said(tmp_path):
    write(tmp_path / "store", ROWS)
    file = tmp_path / "export" / "rows.jsonl.gz"
    store.export(tmp_path / "store", file)
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(ValueError, match="rows.jsonl.gz cannot be decompressed"):
        store.read(tmp_path / "export")
