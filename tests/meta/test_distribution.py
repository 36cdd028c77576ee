"""Several replicas, in processes of their own: devices are set up only once."""

import numpy as np
import pytest

from tests import processes


@pytest.mark.long
def test_mirrored(tmp_path):
    """Meta-gradients are averaged over replicas, and resuming is exact."""
    output = processes.run("tests.meta.run_mirrored", tmp_path)
    assert output.endswith("done\n")


@pytest.mark.slow
def test_multi_worker(tmp_path):
    """Two processes end with the same theta, from optimizees of their own."""
    started = [
        processes.start(
            "tests.meta.run_worker",
            tmp_path / "run",
            tmp_path / f"{index}.npz",
            **environment,
        )
        for index, environment in enumerate(processes.worker_environments())
    ]
    for process in started:
        processes.wait(process)
    first, second = (np.load(tmp_path / f"{index}.npz") for index in range(2))
    assert (int(first["replica"]), int(second["replica"])) == (0, 1)
    assert np.any(first["w"] != second["w"])
    for name in set(first.files) - {"replica", "w"}:
        np.testing.assert_array_equal(first[name], second[name])
