"""Ctrl-C at a safe moment."""

import os
import signal
import threading

import pytest

from lrlearn.meta.interrupt import deferred_interrupt


@pytest.fixture(autouse=True)
def _default_handler():
    # A shell may have started these tests with Ctrl-C ignored.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, previous) is signal.default_int_handler


def _press():
    os.kill(os.getpid(), signal.SIGINT)


def test_first_is_deferred_and_second_is_not():
    """The body sees the first; the second raises."""
    with deferred_interrupt() as interrupted:
        assert not interrupted()
        _press()
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            _press()


def test_handler_is_restored_after_an_error():
    """Whatever ends the body."""
    with pytest.raises(RuntimeError), deferred_interrupt():
        raise RuntimeError


def test_ignored_interrupts_stay_ignored():
    """As for a program that a shell runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupt() as interrupted:
        _press()
        assert not interrupted()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_outside_the_main_thread():
    """Where Python allows no handlers, nothing is held back and nothing fails."""
    seen = []

    def body():
        with deferred_interrupt() as interrupted:
            seen.append(interrupted())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [False]
