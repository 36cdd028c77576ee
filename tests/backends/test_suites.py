"""The suites that do not depend on TensorFlow, under the other backends."""

import pytest

from tests import processes

SUITES = ("tests/rules", "tests/regularizers", "tests/optimizers", "tests/models")


@pytest.mark.backends
@pytest.mark.parametrize("backend", processes.BACKENDS[1:])
def test_suite(backend, tmp_path):
    """Passes."""
    processes.run(
        # In one process, which compiles each operation once; CI's other tests keep the
        # other core busy.
        *("pytest", "-n0", "-q", "-p", "no:cacheprovider", "-m", "any_backend"),
        *SUITES,
        timeout=1200,
        KERAS_BACKEND=backend,
        XLA_FLAGS=processes.QUICK_XLA,
        OMP_NUM_THREADS="1",  # on so small tensors more only wait for each other
        # JAX compiles each closure anew, and many are the same.
        JAX_COMPILATION_CACHE_DIR=str(tmp_path),
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
    )
