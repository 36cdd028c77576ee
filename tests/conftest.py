"""What all tests share."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interruptible():
    """Makes Ctrl-C work, in child processes too, where a background job ignores it."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)
