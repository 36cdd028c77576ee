"""LearnedOptimizer on several of JAX's devices."""

import pytest

from tests import processes


@pytest.mark.backends
def test_data_parallel():
    """Losses are those of one device."""
    pytest.importorskip("jax")
    output = processes.run(
        "tests.backends.run_data_parallel",
        KERAS_BACKEND="jax",
        XLA_FLAGS=f"{processes.QUICK_XLA} --xla_force_host_platform_device_count=2",
    )
    assert output.endswith("done\n")
