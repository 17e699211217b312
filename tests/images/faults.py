"""Decoders that fail as real ones may, chosen by what the file says; given to the worker by its `--decoder` option."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from simsearch.images.decode import Decoded, decode
from simsearch.images.source import Limits


def faulty(data: bytes, *, limits: Limits, **how: Any) -> Decoded:
    """Do what the first word of the file asks; decode any other file."""
    word = data.split(b" ")[0]
    if word == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == b"exit":
        os._exit(3)
    if word == b"hang":
        time.sleep(1e6)
    if word == b"deaf":  # not even the alarm is heard
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(1e6)
    if word == b"print":
        os.write(1, b"noise" * 100)
        os.write(2, b"noise" * 100_000)
        print("more noise")
    if word == b"raise":
        raise MemoryError("no room")
    if word == b"slow":
        time.sleep(0.3)
        data = data.removeprefix(b"slow ")
    return decode(data, limits=limits, **how)


def modules(data: bytes, *, limits: Limits, **how: Any) -> Decoded:
    """Name, in an exception, the heavy modules that the worker has imported."""
    decode(data, limits=limits, **how)
    heavy = ("torch", "torchvision", "faiss", "pyarrow", "scipy", "pydantic", "timm", "rich", "typer")
    raise ValueError(f"heavy: {[name for name in heavy if name in sys.modules]}")
