"""The process behind `decode_apart`: `python -m simsearch.images.workers.single_worker`; no command for people.

It lives between two pipes, decodes one file at a time, and hands the picture back. It ends when standard input does.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from typing import Any

from simsearch.errors import ImageRejected
from simsearch.images.decode import decode
from simsearch.images.source import Limits
from simsearch.images.workers.confine import hold_memory, memory_held, silence, take_signals

READY = b"+"
LENGTHS = struct.Struct("<IQ")  # bytes of the JSON and of the file or the pixels, which follow in this order


def main() -> None:
    """Serve until standard input ends."""
    take_signals()
    replies = silence()
    os.write(replies, READY)
    requests, held = sys.stdin.buffer, memory_held()
    while header := requests.read(LENGTHS.size):
        length, size = LENGTHS.unpack(header)
        how = json.loads(requests.read(length))
        limits = Limits(**how.pop("limits"))
        hold_memory(limits.memory, beyond=held)
        _answer(replies, limits, how, requests.read(size))


def _answer(replies: int, limits: Limits, how: dict[str, Any], data: bytes) -> None:
    signal.setitimer(signal.ITIMER_REAL, limits.timeout_s)
    pixels = b""
    try:
        decoded = decode(data, limits=limits, **how)
        pixels = decoded.image.tobytes()
        facts: dict[str, Any] = {
            **{"size": decoded.image.size, "width": decoded.width, "height": decoded.height},
            **{"format": decoded.format, "more": decoded.more, "plain": decoded.plain},
        }
    except ImageRejected as error:
        facts = {"code": error.code, "message": error.message}
    except Exception as error:
        facts = {"code": "decode_error", "message": f"{type(error).__name__}: {error}"}
    signal.setitimer(signal.ITIMER_REAL, 0)
    send(replies, json.dumps(facts).encode(), pixels)


def send(pipe: int, text: bytes, body: bytes) -> None:
    """Write one message of either side: lengths, JSON, and the bytes of a file or the pixels of a picture."""
    for part in (LENGTHS.pack(len(text), len(body)) + text, body):
        left = memoryview(part)
        while left:
            left = left[os.write(pipe, left) :]


if __name__ == "__main__":
    main()
