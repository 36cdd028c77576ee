"""The same model, data and preset under each backend."""

import json

import numpy as np
import pytest

from tests import processes
from tests.backends.run_fit import PRESETS

pytestmark = pytest.mark.backends


def _losses(command, backend, directory):
    output = processes.run(
        *("tests.backends.run_fit", command, directory),
        KERAS_BACKEND=backend,
        XLA_FLAGS=processes.QUICK_XLA,
    )
    return json.loads(output.splitlines()[-1])


@pytest.fixture(name="directory", scope="module")
def _directory(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(name="trained", scope="module")
def _trained(directory):
    """Losses of each installed backend, which leaves its models in the directory."""
    return {
        backend: _losses("train", backend, directory)
        for backend in processes.installed_backends()
    }


def test_losses_agree(trained):
    """To 1e-4, and they fall."""
    for backend, losses in trained.items():
        for preset in PRESETS:
            expected = trained["tensorflow"][preset]
            np.testing.assert_allclose(
                losses[preset], expected, rtol=1e-4, err_msg=backend
            )
            assert expected[-1] < expected[0]


def test_models_resume_elsewhere(trained, directory):
    """What one backend saved goes on under each as under its own."""
    resumed = {b: _losses("resume", b, directory) for b in trained}
    for backend, losses in resumed.items():
        assert len(losses) == len(PRESETS) * len(trained)
        for name, values in losses.items():
            preset = name.partition("-")[2]
            expected = resumed["tensorflow"][f"tensorflow-{preset}"]
            np.testing.assert_allclose(
                values, expected, rtol=1e-4, err_msg=f"{name} under {backend}"
            )
            assert values[0] < trained["tensorflow"][preset][-1]
