"""`reproduce --grid` runs what is missing, and verifies; mistakes cost one line."""

import os

import pytest

from paper.grid import runner, store
from paper.grid.grid import GRIDS
from tests.paper.grid_rows import make_rows

PROGRAM = "binaries.reproduce"
(ROW,) = make_rows(
    ("mnist",), ("mlp",), ("full",), ("Adam",), explicit=(), rules=(), seeds=1
)[-1:]


@pytest.fixture
def calls(monkeypatch):
    """The arguments that grids were run with, in place of running them."""
    calls = []
    monkeypatch.setattr(runner, "run", lambda *args: calls.append(args) or 3)
    return calls


def test_flags(run, calls, tmp_path):
    outcome = run("--grid=smoke", f"--store={tmp_path}", "--shard=2/3", "--minutes=1.5")
    assert "3 rows are missing" in outcome.out and str(tmp_path) in outcome.out
    ((grid, directory, provenance, shard, minutes),) = calls
    assert grid == GRIDS["smoke"] and directory == str(tmp_path)
    assert provenance["commit"] and "--shard=2/3" in provenance["command"]
    assert (shard, minutes) == ((2, 3), 1.5)


def test_operations_run_one_at_a_time(run, calls, monkeypatch, tmp_path):
    names = [f"TF_NUM_{where}OP_THREADS" for where in ("INTRA", "INTER")]
    for name in names:
        monkeypatch.setenv(name, "9")  # so that it is put back in the end
        monkeypatch.delenv(name)
    run("--grid=smoke", f"--store={tmp_path}")
    assert [os.environ[name] for name in names] == ["1", "1"]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/2/3", "", "²/³"])
def test_a_shard_is_one_of_a_number(error, calls, shard):
    line = error("--grid=smoke", f"--shard={shard}")
    assert f"must be i/n with i from 1 to n. Received: --shard={shard}" in line
    assert calls == []


@pytest.mark.parametrize("minutes", ["-1", "nan"])
def test_minutes_are_a_number(run, calls, minutes):
    assert "must be a number >= 0" in run("--grid=smoke", f"--minutes={minutes}").err
    assert calls == []


@pytest.mark.parametrize("flag", ["--store=x", "--shard=1/2", "--verify=a"])
def test_flags_of_grids_need_one(error, flag):
    assert f"{flag.partition('=')[0]} needs --grid" in error(flag)


def test_an_unknown_grid(run):
    assert "smoke" in run("--grid=nothing").err


def test_verify(run, error, monkeypatch, tmp_path):
    found = {**ROW, "diverged": False}
    monkeypatch.setattr(runner, "verify", lambda *args: (ROW, found))
    arguments = ["--grid=smoke", f"--store={tmp_path}", "--verify=abc"]
    assert "All numbers are those in the store" in run(*arguments).out
    found["diverged"] = True
    assert "1 numbers differ" in error(*arguments)


def test_a_store_that_is_not_there(error, tmp_path):
    line = error("--grid=smoke", f"--store={tmp_path / 'no'}", "--verify=abc")
    assert "No store of rows" in line


def test_a_store_of_another_grid(error, tmp_path):
    with store.Writer(tmp_path, {"name": "smoke", "digest": "other"}) as out:
        out.append([ROW])
    line = error("--grid=smoke", f"--store={tmp_path}")
    assert "must be new or of the same grid" in line and "(other)" in line
    assert store.read(tmp_path) == [ROW]


def test_a_store_with_a_writer(error, tmp_path):
    header = GRIDS["smoke"].describe()
    with store.Writer(tmp_path, header, "shard-1-of-1"):
        line = error("--grid=smoke", f"--store={tmp_path}")
    assert "another process is writing" in line


def test_data_that_are_not_there(error, tmp_path, monkeypatch):
    def missing(name):
        raise FileNotFoundError(f"Data set {name} is neither there nor on the net")

    monkeypatch.setattr(runner.datasets, "splits", missing)
    runner.data_of.cache_clear()
    line = error("--grid=first_pass", f"--store={tmp_path}")
    assert "Data set mnist is neither there" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--seeds=10", "--steps=50", "--dataset=mnist"])
def test_flags_of_the_main_job_are_refused(error, calls, flag):
    assert f"{flag.partition('=')[0]} is the main job's" in error("--grid=smoke", flag)
    assert calls == []
