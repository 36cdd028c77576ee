"""`reproduce` runs what is missing of a grid, reports on it, and verifies rows."""

import concurrent.futures
import dataclasses
import os

import pandas as pd
import pytest

from paper.grid import pool, runner, store
from paper.grid.grid import GRIDS
from tests.paper.grid_rows import make_rows

PROGRAM = "binaries.reproduce"
ROWS = make_rows(
    ("mnist",), ("mlp",), ("full",), ("Adam",), explicit=(), rules=(), seeds=2
)


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """The arguments that grids were run with; rows are there already."""
    calls = []

    def run(grid, directory, *arguments):
        calls.append((grid, directory, *arguments))
        store.begin(directory, grid.describe())
        store.append(directory, ROWS)
        return 0

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.fixture
def reports(program, monkeypatch):
    """The arguments of reports, in place of writing them."""
    reports = []
    monkeypatch.setattr(program, "write_report", lambda *args: reports.append(args))
    return reports


def test_help(check_help):
    check_help()


def test_without_flags_it_is_the_grid_of_digits(run, calls, tmp_path):
    outcome = run()
    assert outcome.code == 0
    ((grid, directory, provenance, shard, *others),) = calls
    assert (grid, directory) == (GRIDS["digits"], "runs/digits")
    assert (shard, others) == ((1, 1), [None, None, None, None])
    assert provenance["commit"] and provenance["command"]
    for text in ("Adam", "±", "CPU seconds", "runs/reproduce", "REPORT.md"):
        assert text in outcome.out
    table = pd.read_csv(tmp_path / "runs" / "reproduce" / "summary.csv")
    assert list(table["optimizer"]) == ["Adam"]
    assert provenance["command"] in (
        tmp_path / "runs" / "reproduce" / "REPORT.md"
    ).read_text(encoding="utf-8")


def test_flags(run, calls, reports, tmp_path):
    arguments = ["--grid=first_pass", "--store=there", "--shard=2/3", "--minutes=1.5"]
    outcome = run(*arguments, "--output=out", f"--presets={tmp_path}")
    assert "0 rows are missing" in outcome.out and "there" in outcome.out
    ((grid, directory, provenance, shard, *others),) = calls
    assert (grid, directory) == (GRIDS["first_pass"], "there")
    assert "--shard=2/3" in provenance["command"]
    assert (shard, others) == ((2, 3), [1.5, str(tmp_path), None, None])
    assert reports == []


def test_workers(run, calls, reports):
    """Processes here; they start with their first job."""
    assert run("--workers=2").code == 0
    assert isinstance(calls[0][-1], concurrent.futures.ProcessPoolExecutor)


def test_a_scheduler_that_is_not_there(error, calls, monkeypatch):
    """Nor is Dask, perhaps."""
    monkeypatch.setattr(pool, "_PATIENCE", 1)
    line = error("--scheduler=tcp://127.0.0.1:1")
    assert "Dask" in line and "Received: 'tcp://127.0.0.1:1'" in line
    assert calls == []


def test_an_incomplete_grid_has_no_report(run, calls, reports, monkeypatch):
    monkeypatch.setattr(runner, "run", lambda *args: 3)
    assert "3 rows are missing" in run("--grid=first_pass").out
    assert reports == []


def test_flags_that_change_a_grid(run, calls, reports):
    assert run("--meta_steps=7", "--steps=8", "--seeds=2").code == 0
    digits = GRIDS["digits"]
    how = dataclasses.replace(digits.meta_training, steps=7)
    expected = dataclasses.replace(
        digits,
        name="digits_changed",
        meta_training=how,
        horizons=(("*", (8,)),),
        seeds=2,
    )
    assert [call[:2] for call in calls] == [(expected, "runs/digits_changed")]


def test_operations_run_one_at_a_time(run, calls, reports, monkeypatch):
    names = [f"TF_NUM_{where}OP_THREADS" for where in ("INTRA", "INTER")]
    for name in names:
        monkeypatch.setenv(name, "9")  # so that it is put back in the end
        monkeypatch.delenv(name)
    run()
    assert [os.environ[name] for name in names] == ["1", "1"]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/2/3", "", "²/³"])
def test_a_shard_is_one_of_a_number(error, calls, shard):
    line = error("--grid=first_pass", f"--shard={shard}")
    assert f"must be i/n with i from 1 to n. Received: --shard={shard}" in line
    assert calls == []


def test_presets_are_a_directory(error, calls):
    line = error("--grid=first_pass", "--presets=nowhere")
    assert "--presets must be a directory. Received: --presets=nowhere" in line
    assert calls == []


@pytest.mark.parametrize("minutes", ["-1", "nan"])
def test_minutes_are_a_number(run, calls, minutes):
    assert (
        "must be a number >= 0" in run("--grid=first_pass", f"--minutes={minutes}").err
    )
    assert calls == []


@pytest.mark.parametrize("flag", ["--seeds=0", "--steps=0", "--meta_steps=0"])
def test_numbers_are_positive(run, calls, flag):
    assert "is not a positive integer" in run(flag).err
    assert calls == []


def test_an_unknown_grid(run):
    assert "first_pass" in run("--grid=nothing").err


def test_the_output_is_tried_first(error, calls, tmp_path):
    (tmp_path / "file").touch()
    assert "file" in error("--output=file")
    assert calls == []


def test_verify(run, error, monkeypatch):
    row = ROWS[-1]
    found = {**row, "diverged": False}
    monkeypatch.setattr(runner, "verify", lambda *args: (row, found))
    arguments = ["--grid=first_pass", "--store=there", "--verify=abc"]
    assert "All numbers are those in the store" in run(*arguments).out
    found["diverged"] = True
    assert "1 numbers differ" in error(*arguments)


def test_a_store_that_is_not_there(error, tmp_path):
    line = error("--grid=first_pass", f"--store={tmp_path / 'no'}", "--verify=abc")
    assert "No store of rows" in line


def test_a_store_of_another_grid(error, tmp_path):
    store.begin(tmp_path, {"name": "digits", "digest": "other"})
    line = error(f"--store={tmp_path}", f"--output={tmp_path}")
    assert "must be of one grid" in line and "seeds None, not 5" in line


def test_data_that_are_not_there(error, tmp_path, monkeypatch):
    def missing(name):
        raise FileNotFoundError(f"Data set {name} is neither there nor on the net")

    monkeypatch.setattr(runner.datasets, "splits", missing)
    runner.data_of.cache_clear()
    store_path = tmp_path / "store"
    line = error(f"--store={store_path}", f"--output={tmp_path}", "--grid=first_pass")
    assert "Data set mnist is neither there" in line
    assert not store_path.exists()
