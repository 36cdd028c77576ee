"""What all tests share."""

import gc
import os
import signal
from unittest import mock

import keras
import pytest

# XLA makes the same programs of graphs, and machine code of them in half the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_addoption(parser):
    """Adds the soak tests' options."""
    parser.addoption("--kills", type=int, default=20, help="kills of each program")


@pytest.fixture(scope="session", autouse=True)
def _interruptible():
    """Makes Ctrl-C work, in child processes too, where a background job ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(scope="session", autouse=True)
def _rarely_collected():
    """Spares Python's collector the imported modules, and most walks over graphs."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


@pytest.fixture(scope="module", autouse=True)
def _seeded_module():
    """Seeds TensorFlow, which drops the kernels it has made each time."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def _seeded(_seeded_module):
    """Draws the same initial weights whatever ran before."""
    with mock.patch("tensorflow.random.set_seed"):
        keras.utils.set_random_seed(0)
