"""LearnedOptimizer on several devices, in processes of their own."""

import json
import socket

import numpy as np
import pytest

from tests import processes
from tests.optimizers.conftest import GRADIENTS, RULES, W, assert_close, by_hand


@pytest.mark.slow
def test_mirrored():
    """Losses are those of one device, and gradients of replicas add up."""
    output = processes.run("tests.optimizers.run_mirrored")
    assert output.endswith("done\n")


@pytest.mark.slow
def test_two_workers(tmp_path):
    """Both end with the same weights; Keras's `fit` cannot, with Adam either."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0)), two.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{s.getsockname()[1]}" for s in (one, two)]
    started = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        cluster = json.dumps({"cluster": {"worker": workers}, "task": task})
        arguments = "tests.optimizers.run_worker", tmp_path / f"{index}.npz"
        started.append(processes.start(*arguments, TF_CONFIG=cluster))
    for process in started:
        processes.wait(process)
    expected = by_hand(RULES["mlp"], GRADIENTS, W)[-1]
    for index in range(2):
        result = np.load(tmp_path / f"{index}.npz")
        assert_close(result["w"], expected)
        assert result["fit_fails"]
