"""What a decode worker does to itself: signals, no core files, a ceiling on memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

_THREAD = 8 << 20  # bytes of address space for the stack of one of a decoder's threads
_DATA = 5  # place of the size of data among the numbers of /proc/self/statm


def take_signals() -> None:
    """Let the parent have Ctrl-C and what else is sent to all of a job, and the kernel's alarm end the process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def silence() -> int:
    """Return what was standard output; what C libraries print about damaged files goes nowhere from now on."""
    replies = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return replies


def memory_held() -> int:
    """Return bytes of memory of its own that the process has; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_DATA]) * resource.getpagesize()


def hold_memory(image: int, *, beyond: int) -> None:
    """Make the system refuse the process more than `image` bytes beyond those that it began with; on Linux alone."""
    if sys.platform != "linux":
        return
    wanted = beyond + image + _THREAD * (os.cpu_count() or 1)
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
