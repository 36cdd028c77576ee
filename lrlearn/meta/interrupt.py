"""Ctrl-C at a safe moment."""

import contextlib
import signal
import threading


@contextlib.contextmanager
def deferred_interrupt():
    """Holds back the first Ctrl-C; the body asks whether it came.

    A second Ctrl-C interrupts at once. Outside the main thread, or if Ctrl-C is
    ignored, nothing is held back.

    Yields:
        A function that returns whether Ctrl-C was pressed.

    Example:
        >>> from lrlearn.meta.interrupt import deferred_interrupt
        >>> with deferred_interrupt() as interrupted:
        ...     interrupted()
        False
    """
    pressed = threading.Event()
    previous = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(previous):
        yield pressed.is_set
        return

    def handle(*_):
        pressed.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, handle)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
