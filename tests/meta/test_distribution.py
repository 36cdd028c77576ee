"""Several replicas, in processes of their own: devices are set up only once."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


def _start(module, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.meta.{module}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait(process):
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, output[-3000:]
    return output


def test_mirrored(tmp_path):
    """Meta-gradients are averaged over replicas, and resuming is exact."""
    assert _wait(_start("run_mirrored", tmp_path)).endswith("done\n")


@pytest.mark.slow
def test_multi_worker(tmp_path):
    """Two processes end with the same theta, from optimizees of their own."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{s.getsockname()[1]}" for s in (one, two)]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        tf_config = json.dumps({"cluster": {"worker": workers}, "task": task})
        output = tmp_path / f"{index}.npz"
        processes.append(
            _start("run_worker", tmp_path / "run", output, TF_CONFIG=tf_config)
        )
    for process in processes:
        _wait(process)
    first, second = (np.load(tmp_path / f"{index}.npz") for index in range(2))
    assert (int(first["replica"]), int(second["replica"])) == (0, 1)
    assert np.any(first["w"] != second["w"])
    for name in set(first.files) - {"replica", "w"}:
        np.testing.assert_array_equal(first[name], second[name])
