"""The suites that do not depend on TensorFlow, under the other backends."""

import pytest

from tests import processes

SUITES = ("tests/rules", "tests/regularizers", "tests/optimizers", "tests/models")


@pytest.mark.backends
@pytest.mark.parametrize("backend", processes.BACKENDS[1:])
def test_suite(backend, tmp_path):
    """Passes."""
    processes.run(
        *("pytest", "-q", "-p", "no:cacheprovider", "-m", "any_backend", *SUITES),
        timeout=900,
        KERAS_BACKEND=backend,
        OMP_NUM_THREADS="1",  # on so small tensors more only wait for each other
    )
