"""SharpnessAwareModel on two devices, in processes of their own."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


def _check(module, **environment):
    result = subprocess.run(
        [sys.executable, "-m", f"tests.models.{module}"],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-3000:]
    assert result.stdout.endswith("done\n")


@pytest.mark.slow
def test_mirrored():
    """Each replica perturbs by itself, and all else is as without a regularizer."""
    _check("run_mirrored", KERAS_BACKEND="tensorflow")


@pytest.mark.backends
def test_data_parallel():
    """On JAX, devices only share the work."""
    pytest.importorskip("jax")
    two = "--xla_force_host_platform_device_count=2"
    _check("run_data_parallel", KERAS_BACKEND="jax", XLA_FLAGS=two)
