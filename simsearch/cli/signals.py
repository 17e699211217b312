"""Signals that ask a command to end: each ends it as Ctrl-C does, so that what was done is kept."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # of Linux
_AGAIN_S = 0.05


@contextmanager
def ending_as_interrupt() -> Iterator[Callable[[], signal.Signals | None]]:
    """Turn the signals that end a command into KeyboardInterrupt; yield a function that returns the first one, if any.

    A second SIGTERM or SIGHUP changes nothing, since a supervisor may send both; a second Ctrl-C interrupts the ending.
    A signal that is ignored from outside, as by nohup, stays so.
    """
    came: list[signal.Signals] = []
    timers: list[threading.Timer] = []

    def end(number: int, frame: FrameType | None) -> None:
        first = not came
        came.append(signal.Signals(number))
        if first or number == signal.SIGINT:
            raise KeyboardInterrupt

    def unraisable(details: sys.UnraisableHookArgs) -> None:
        """Interrupt again what was interrupted where Python lets no exception out, as in a destructor."""
        if came and details.exc_type is KeyboardInterrupt:
            timers.append(threading.Timer(_AGAIN_S, os.kill, (os.getpid(), signal.SIGINT)))
            timers[-1].start()
        else:
            before(details)

    if threading.current_thread() is not threading.main_thread():  # where no signal arrives
        yield lambda: None
        return
    handlers = {number: signal.getsignal(number) for number in ENDING}
    before, sys.unraisablehook = sys.unraisablehook, unraisable
    for number, handler in handlers.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end)
    try:
        yield lambda: came[0] if came else None
    finally:
        for timer in timers:  # the interrupted work has ended by itself
            timer.cancel()
        sys.unraisablehook = before
        for number, handler in handlers.items():
            if signal.getsignal(number) is end:
                signal.signal(number, handler)


def end_with(parent: int) -> None:
    """Have this process get SIGTERM as soon as its parent is gone, however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it went before this call
        os.kill(os.getpid(), signal.SIGTERM)
