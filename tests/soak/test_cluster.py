"""A grid on a Dask cluster, one of whose workers is killed."""

import collections
import os
import subprocess
import sys
import threading
import time

import pytest

from paper.grid import runner, store
from paper.grid.cells import Jobs
from paper.grid.pool import open_pool
from tests import processes
from tests.soak.run_grid import GRID

pytest.importorskip("distributed")
pytestmark = pytest.mark.soak


def _start(*command):
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
        cwd=processes.ROOT,
        env={**os.environ, "PYTHONPATH": str(processes.ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(name="cluster")
def _cluster():
    """The address of a scheduler on loopback, and its two workers."""
    (environment, *_) = processes.worker_environments(1)
    port = environment["TF_CONFIG"].split("127.0.0.1:")[1].split(chr(34))[0]
    address = f"tcp://127.0.0.1:{port}"
    worker = "dask_worker", address, "--nthreads=1", "--no-nanny", "--no-dashboard"
    scheduler = _start("dask_scheduler", "--host=127.0.0.1", f"--port={port}")
    workers = [_start(*worker) for _ in range(2)]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def test_a_killed_worker(cluster, tmp_path):
    """Its job is done by the other one; every row is there once, by one writer."""
    address, workers = cluster

    def kill():
        while not (tmp_path / "rows.sqlite").exists() or not store.read(tmp_path):
            time.sleep(0.1)
        time.sleep(1.0)
        workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with open_pool(address) as pool:
        assert runner.run(GRID, tmp_path, {"commit": "soak"}, pool=pool, verbose=0) == 0
    killer.join()
    assert workers[0].wait() != 0 and workers[1].poll() is None
    rows = store.read(tmp_path)
    counts = collections.Counter(row["key"] for row in rows)
    expected = {key for job in Jobs(GRID, runner.data_of).all() for key in job.keys}
    assert counts.keys() == expected and set(counts.values()) == {1}


def test_no_scheduler():
    """One line."""
    with (
        pytest.raises(ValueError, match="address of a Dask scheduler. Received: 'tcp"),
        open_pool("tcp://127.0.0.1:1"),
    ):
        pass


def test_processes_here(tmp_path):
    """The same rows as in one process, but for times."""
    with open_pool(workers=2) as pool:
        assert runner.run(GRID, tmp_path / "two", {}, pool=pool, verbose=0) == 0
    assert runner.run(GRID, tmp_path / "one", {}, verbose=0) == 0
    one = store.read(tmp_path / "one")
    two = {row["key"]: row for row in store.read(tmp_path / "two")}
    assert len(two) == len(one)
    assert runner.differences(one, [two[row["key"]] for row in one]) == []
