"""`reproduce` runs the main job by its flags, and shows and writes what it found."""

import json

import pandas as pd
import pytest

from paper import MainJob
from tests.paper.results import NETWORKS, OPTIMIZERS, make_results

PROGRAM = "binaries.reproduce"


@pytest.fixture
def jobs(program, monkeypatch):
    """The jobs that were run, in place of running them."""
    jobs = []

    def record(job, *arguments):
        jobs.append(job)
        return make_results()

    monkeypatch.setattr(program, "run", record)
    return jobs


def test_help(check_help):
    check_help()


def test_without_flags_it_is_the_main_job(run, jobs, tmp_path):
    outcome = run(f"--output={tmp_path / 'out'}")
    assert outcome.code == 0
    assert jobs == [MainJob()]
    for name in (*NETWORKS, *OPTIMIZERS, "±", "CPU seconds", str(tmp_path / "out")):
        assert name in outcome.out
    for path in (tmp_path / "out").iterdir():
        assert path.name in outcome.out
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert content["cpu_seconds"] > 0 and content["command"] and content["commit"]
    assert content["settings"]["meta_steps"] == MainJob.meta_steps
    assert len(pd.read_csv(tmp_path / "out" / "summary.csv")) == len(content["summary"])


def test_flags(run, program, jobs, tmp_path, monkeypatch):
    monkeypatch.setattr(program.main_report, "write", lambda *arguments: [])
    arguments = ["--meta_steps=7", "--steps=8", "--seeds=2", "--seed=5"]
    arguments += ["--dataset=mnist", f"--output={tmp_path}"]
    assert run(*arguments).code == 0
    assert jobs == [MainJob("mnist", meta_steps=7, steps=8, seeds=2, seed=5)]


def test_the_output_is_tried_first(error, jobs, tmp_path):
    (tmp_path / "file").touch()
    assert "file" in error(f"--output={tmp_path / 'file'}")
    assert jobs == []


def test_unknown_data_set(run):
    outcome = run("--dataset=letters")
    assert outcome.code == 1 and "fashion_mnist" in outcome.err
