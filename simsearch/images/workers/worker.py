"""The decode worker, `python -m simsearch.images.workers.worker SETTINGS`: started by the pool, no command for people.

It lives between two pipes: requests come in on standard input, replies leave on what was standard output. It ends when
standard input does, so no worker outlives its parent; a decode that hangs is ended by the kernel's alarm, so that
neither a loop in C nor a parent that has gone can keep it alive.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from simsearch.images.decode import decode
from simsearch.images.formats.pillow_limits import pillow_guard
from simsearch.images.source import Source
from simsearch.images.workers.confine import hold_memory, memory_held, silence, take_signals
from simsearch.images.workers.prepared import Decoder, Prepared, prepare_one
from simsearch.images.workers.protocol import READY, REQUEST, Settings, pack_result, square_sizes
from simsearch.naming import loaded


def main(arguments: list[str]) -> None:
    """Serve requests until standard input ends.

    Args:
        arguments: The settings as JSON; for tests `--decoder module:function` may follow, which plants faults.
    """
    settings = Settings.from_json(arguments[0])
    decoder = loaded(arguments[2]) if arguments[1:2] == ["--decoder"] else decode
    shape = (settings.slots, sum(square_sizes(settings.preprocessings)))
    memory = mmap.mmap(settings.memory, shape[0] * shape[1])
    take_signals()
    replies = silence()  # what C libraries print must not be taken for a reply either
    os.write(replies, READY)
    hold_memory(settings.limits.memory, beyond=memory_held())
    with pillow_guard(settings.limits.max_pixels):
        _serve(sys.stdin.buffer, replies, settings, np.frombuffer(memory, np.uint8).reshape(shape), decoder)


def _serve(requests: BinaryIO, replies: int, settings: Settings, slots: NDArray[np.uint8], decoder: Decoder) -> None:
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        slot, length, offset, size = REQUEST.unpack(header)
        name = requests.read(length)
        source = Source(b"", b"", name, offset, size, 0) if name else Source.of(requests.read(size))
        signal.setitimer(signal.ITIMER_REAL, settings.limits.timeout_s)
        result = prepare_one(source, settings.preprocessings, settings.limits, decoder=decoder)
        if isinstance(result, Prepared):
            np.concatenate([square.reshape(-1) for square in result.squares], out=slots[slot])
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(replies, pack_result(result))


if __name__ == "__main__":
    main(sys.argv[1:])
