"""What all tests share."""

import os
import signal

import keras
import pytest

# XLA makes the same programs of graphs, and machine code of them in half the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


@pytest.fixture(scope="session", autouse=True)
def _interruptible():
    """Makes Ctrl-C work, in child processes too, where a background job ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.fixture(autouse=True)
def _seeded():
    """Draws the same initial weights whatever ran before."""
    keras.utils.set_random_seed(0)
