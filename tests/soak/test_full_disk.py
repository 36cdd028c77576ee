"""A program on a full disk ends with one line, and goes on when there is room."""

import subprocess
import sys

import pytest

from tests import processes
from tests.soak.run_meta_training import STEPS

pytestmark = pytest.mark.soak


def test_meta_training(tmp_path):
    """An error that names the file; the last checkpoint is whole, and the run goes on.

    A limit on files' sizes stands for the full disk.
    """
    command = "tests.soak.run_meta_training", tmp_path / "full"
    process = processes.start(*command, 10)
    output, _ = process.communicate(timeout=300)
    last = f"'{tmp_path}/full/checkpoint-00000010.safetensors'"
    assert (
        output.strip().splitlines()[-1] == f"OSError: [Errno 27] File too large: {last}"
    )
    names = {path.name for path in (tmp_path / "full").glob("checkpoint-*")}
    assert names == {f"checkpoint-{step:08d}.safetensors" for step in (8, 9)}
    processes.run(*command)
    processes.run("tests.soak.run_meta_training", tmp_path / "whole")
    name = f"checkpoint-{STEPS:08d}.safetensors"
    found, expected = (tmp_path / each / name for each in ("full", "whole"))
    assert found.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("binaries.meta_train", "run/tensorboard"),
        ("binaries.train", "run/model.checkpoint/checkpoint-00000000.safetensors"),
    ],
)
def test_programs(tmp_path, program, name):
    """One line, which names the file."""
    output = "run/model.keras" if program == "binaries.train" else "run"
    command = (
        f"ulimit -f 4; exec {sys.executable} -m {program} --output={tmp_path}/{output}"
    )
    outcome = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, cwd=processes.ROOT
    )
    assert outcome.returncode == 1
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and "File too large" in last
    assert f"{tmp_path}/{name}" in last
