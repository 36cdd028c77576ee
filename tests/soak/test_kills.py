"""A program that is killed at any moment, and started again, ends as if it had not."""

import subprocess
import time

import keras
import numpy as np
import pytest

from paper.grid import runner, store
from tests import processes
from tests.soak.run_meta_training import STEPS

pytestmark = pytest.mark.soak


def survive(command, result, tmp_path, kills):
    """Kills a module at random moments, until it has been `kills` times.

    Args:
        command: Function of a directory that returns the module and its arguments.
        result: Function of a directory that returns what a finished run left there.
        tmp_path: A directory for many of them.
        kills: Number of kills.

    Returns:
        What an uninterrupted run left, and a list of what the runs left that were
        killed and started again until they ended by themselves.
    """
    began = time.monotonic()
    processes.run(*command(tmp_path / "whole"), timeout=600)
    duration, rng = time.monotonic() - began, np.random.default_rng(0)
    killed, results = 0, []
    while killed < kills:
        directory = tmp_path / f"killed{len(results)}"
        while not _ends(command(directory), rng.uniform(0.0, 1.1 * duration)):
            killed += 1
        results.append(result(directory))
    print(f"\n{killed} kills, {len(results)} runs that ended, {duration:.0f} s whole")
    return result(tmp_path / "whole"), results


def _ends(command, seconds):
    """Returns whether a module ends within some seconds; kills it if it does not."""
    process = processes.start(*command)
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    assert process.returncode == 0, output[-3000:]
    return True


def test_meta_training(tmp_path, kills):
    """Weights, meta-optimizer, optimizees and history, to the bit."""

    def result(directory):
        return (directory / f"checkpoint-{STEPS:08d}.safetensors").read_bytes()

    def command(directory):
        return "tests.soak.run_meta_training", directory

    expected, found = survive(command, result, tmp_path, kills)
    assert all(each == expected for each in found)


def test_train(tmp_path, kills):
    """The saved model's variables, and its optimizer's, to the bit."""

    def command(directory):
        flags = "--optimizer=lo_none", "--steps=2000", f"--output={directory}/m.keras"
        return "binaries.train", *flags

    def result(directory):
        model = keras.models.load_model(directory / "m.keras")
        assert [path.name for path in directory.glob("*")] == ["m.keras", "m.json"]
        variables = [*model.variables, *model.optimizer.variables]
        return [np.asarray(v).tobytes() for v in variables]

    expected, found = survive(command, result, tmp_path, kills)
    assert all(each == expected for each in found)


def test_grid(tmp_path, kills):
    """All rows, each once, but for times."""

    def command(directory):
        return "tests.soak.run_grid", directory

    def result(directory):
        return {row["key"]: row for row in store.read(directory)}

    expected, found = survive(command, result, tmp_path, kills)
    for rows in found:
        assert rows.keys() == expected.keys()
        again = [rows[key] for key in expected]
        assert runner.differences(list(expected.values()), again) == []
