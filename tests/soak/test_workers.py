"""Workers that meta-train together: one of them is killed."""

import random
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests import processes

pytestmark = pytest.mark.soak

STEPS = 150
LAST = f"checkpoint-{STEPS:08d}.safetensors"


def _start(directory):
    environments = processes.worker_environments()
    command = "tests.soak.run_workers", directory, STEPS
    return [processes.start(*command, **environment) for environment in environments]


@pytest.fixture(scope="module", name="expected")
def _expected(tmp_path_factory):
    """The directory of a run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("undisturbed")
    for process in _start(directory):
        processes.wait(process)
    return directory


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker(victim, expected, tmp_path):
    """The other one ends with one line, and together they go on to the bit."""
    workers = _start(tmp_path)
    end = time.monotonic() + 120
    while not list(tmp_path.glob("checkpoint-*")):
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(random.Random(victim).uniform(0, 2))
    workers[victim].kill()
    workers[victim].communicate()
    survivor = workers[1 - victim]
    output, _ = survivor.communicate(timeout=120)
    assert survivor.returncode == 1
    assert (
        output.strip()
        .splitlines()[-1]
        .startswith("error: Another worker was lost. Start all of them again")
    )
    assert not (tmp_path / LAST).exists()
    for process in _start(tmp_path):
        processes.wait(process)
    for name in (LAST, f"worker1/{LAST}"):
        found, whole = (load_file(path / name) for path in (tmp_path, expected))
        assert found.keys() == whole.keys()
        for key, value in whole.items():
            np.testing.assert_array_equal(found[key], value)
