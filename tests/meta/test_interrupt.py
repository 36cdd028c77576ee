"""Ctrl-C and SIGTERM at a safe moment."""

import os
import signal
import threading

import pytest

from lrlearn.meta.interrupt import Terminated, deferred_interrupt


class _Ended(BaseException):
    """What SIGTERM does in these tests, in place of ending them."""


def _end(*_):
    raise _Ended


HANDLERS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _end}
RAISED = {
    signal.SIGINT: (KeyboardInterrupt, KeyboardInterrupt),
    signal.SIGTERM: (Terminated, _Ended),
}


@pytest.fixture(autouse=True)
def _default_handlers():
    # A shell may have started these tests with Ctrl-C ignored.
    previous = {number: signal.signal(number, h) for number, h in HANDLERS.items()}
    yield
    for number, handler in previous.items():
        assert signal.signal(number, handler) is HANDLERS[number]


def _send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("first", RAISED)
@pytest.mark.parametrize("second", RAISED)
def test_first_is_deferred_and_second_is_not(first, second):
    """The body sees the first; the second does what it did before."""
    with deferred_interrupt() as interrupted:
        assert interrupted() is None
        _send(first)
        assert interrupted() is RAISED[first][0]
        with pytest.raises(RAISED[second][1]):
            _send(second)
        assert interrupted() is RAISED[first][0]


def test_handler_is_restored_after_an_error():
    """Whatever ends the body."""
    with pytest.raises(RuntimeError), deferred_interrupt():
        raise RuntimeError


def test_ignored_interrupts_stay_ignored():
    """As for a program that a shell runs in the background; SIGTERM ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupt() as interrupted:
        _send(signal.SIGINT)
        assert interrupted() is None
        _send(signal.SIGTERM)
        assert interrupted() is Terminated
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
    assert seen == [None]
