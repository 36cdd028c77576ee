"""Ctrl-C and SIGTERM at a safe moment."""

import contextlib
import signal
import threading


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which schedulers end a program; it ends as by Ctrl-C."""

    signal = signal.SIGTERM


_RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextlib.contextmanager
def deferred_interrupt():
    """Holds back the first Ctrl-C or SIGTERM; the body asks whether it came.

    A second one ends the program at once. Outside the main thread nothing is held
    back, nor is a signal that is ignored.

    Yields:
        A function that returns what to raise when it is safe: `KeyboardInterrupt` after
        Ctrl-C, `Terminated` after SIGTERM, `None` if neither came.

    Example:
        >>> from lrlearn.meta.interrupt import deferred_interrupt
        >>> with deferred_interrupt() as interrupted:
        ...     interrupted() is None
        True
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came = []

    def handle(number, _):
        came.append(_RAISED[number])
        restore()

    previous = {number: signal.getsignal(number) for number in _RAISED}
    held = [n for n in _RAISED if previous[n] not in (signal.SIG_IGN, None)]

    def restore():
        for number in held:
            signal.signal(number, previous[number])

    for number in held:
        signal.signal(number, handle)
    try:
        yield lambda: came[0] if came else None
    finally:
        restore()
