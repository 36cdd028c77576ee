"""LearnedOptimizer on several devices, in processes of their own."""

import numpy as np
import pytest

from tests import processes
from tests.optimizers.conftest import GRADIENTS, RULES, W, assert_close, by_hand


@pytest.mark.long
def test_mirrored():
    """Losses are those of one device, and gradients of replicas add up."""
    output = processes.run("tests.optimizers.run_mirrored")
    assert output.endswith("done\n")


@pytest.mark.slow
def test_two_workers(tmp_path):
    """Both end with the same weights; Keras's `fit` cannot, with Adam either."""
    started = [
        processes.start(
            "tests.optimizers.run_worker", tmp_path / f"{index}.npz", **environment
        )
        for index, environment in enumerate(processes.worker_environments())
    ]
    for process in started:
        processes.wait(process)
    expected = by_hand(RULES["mlp"], GRADIENTS, W)[-1]
    for index in range(2):
        result = np.load(tmp_path / f"{index}.npz")
        assert_close(result["w"], expected)
        assert result["fit_fails"]
