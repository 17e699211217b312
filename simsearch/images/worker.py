"""The decode worker: `python -m simsearch.images.worker SETTINGS`, started by `workers`; not a command for people.

It lives between two pipes: requests come in on standard input, replies leave on what was standard output. It ends when
standard input does, so no worker outlives its parent; a decode that hangs is ended by the kernel's alarm, so that
neither a loop in C nor a parent that has gone can keep it alive.
"""

from __future__ import annotations

import importlib
import mmap
import os
import resource
import signal
import sys
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from simsearch.images.decode import decode
from simsearch.images.guard import pillow_guard
from simsearch.images.prepared import Decoder, Prepared, prepare_one
from simsearch.images.source import Source
from simsearch.images.wire import READY, REQUEST, Settings, pack_result


def main(arguments: list[str]) -> None:
    """Serve requests until standard input ends.

    Args:
        arguments: the settings as JSON; for tests `--decoder module:function` may follow, which plants faults.
    """
    settings = Settings.from_json(arguments[0])
    decoder = _named(arguments[2]) if arguments[1:2] == ["--decoder"] else decode
    size = settings.preprocessing.size
    shape = (settings.slots, size, size, 3)
    memory = mmap.mmap(settings.memory, settings.slots * size * size * 3)
    _take_signals()
    replies = os.dup(1)
    os.write(replies, READY)
    # What C libraries print about damaged files must neither reach the user nor be taken for a reply.
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    with pillow_guard(settings.limits.max_pixels):
        _serve(sys.stdin.buffer, replies, settings, np.frombuffer(memory, np.uint8).reshape(shape), decoder)


def _take_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _serve(requests: BinaryIO, replies: int, settings: Settings, slots: NDArray[np.uint8], decoder: Decoder) -> None:
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        slot, length, offset, size = REQUEST.unpack(header)
        name = requests.read(length)
        source = Source(b"", b"", name, offset, size, 0) if name else Source.of(requests.read(size))
        signal.setitimer(signal.ITIMER_REAL, settings.limits.timeout_s)
        result = prepare_one(source, settings.preprocessing, settings.limits, decoder=decoder)
        if isinstance(result, Prepared):
            slots[slot] = result.pixels
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(replies, pack_result(result))


def _named(name: str) -> Decoder:
    module, _, function = name.partition(":")
    decoder: Decoder = getattr(importlib.import_module(module), function)
    return decoder


if __name__ == "__main__":
    main(sys.argv[1:])
