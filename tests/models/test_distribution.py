"""SharpnessAwareModel on two devices, in processes of their own."""

import pytest

from tests.processes import QUICK_XLA, run


@pytest.mark.long
def test_mirrored():
    """Each replica perturbs by itself, and all else is as without a regularizer."""
    output = run("tests.models.run_mirrored", KERAS_BACKEND="tensorflow")
    assert output.endswith("done\n")


@pytest.mark.backends
def test_data_parallel():
    """On JAX, devices only share the work."""
    pytest.importorskip("jax")
    output = run(
        "tests.models.run_data_parallel",
        KERAS_BACKEND="jax",
        XLA_FLAGS=f"{QUICK_XLA} --xla_force_host_platform_device_count=2",
    )
    assert output.endswith("done\n")
