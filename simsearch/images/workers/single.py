"""Decoding a single file in a process of its own that stays warm: a crash or a hang costs a reject, not the caller."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from PIL import Image

from simsearch.errors import ImageRejected, RejectCode, SimsearchError
from simsearch.images.decode import Decoded
from simsearch.images.formats.sniff import sniff
from simsearch.images.source import Limits, require_size
from simsearch.images.workers.process import GRACE_S, START_S, STUCK_S, crashed, out_of_time, pipes, spawn
from simsearch.images.workers.single_worker import LENGTHS, READY, send

_KEPT = 4  # idle processes: as many threads as usually ask at once
_PIPE = 1 << 20  # bytes


class _Ended(Exception):
    """The process is gone, or was given up."""


class _Process:
    """One warm process and its pipes."""

    def __init__(self) -> None:
        self._process = spawn("simsearch.images.workers.single_worker")
        self._requests, self._replies, self._errors = pipes(self._process)
        for descriptor in (self._requests, self._replies):
            _widen(descriptor)
        try:
            self._read(len(READY), time.monotonic() + START_S)
        except _Ended:
            self._process.kill()
            self._process.wait()
            words = os.read(self._errors, 1 << 16).decode("utf-8", "replace").strip()
            self.forget()
            raise SimsearchError(f"a decode worker could not be started: {words[-400:]}") from None

    def ask(self, how: dict[str, Any], data: bytes, limits: Limits) -> tuple[dict[str, Any], bytearray]:
        """Return what the process says of a file: facts, and pixels where there are any.

        Raises:
            _Ended: It died, or did not answer in time.
        """
        text = json.dumps(how).encode()
        try:
            send(self._requests, text, data)
        except BrokenPipeError:
            raise _Ended from None
        length, size = LENGTHS.unpack(self._read(LENGTHS.size, time.monotonic() + limits.timeout_s + GRACE_S))
        facts = json.loads(self._read(length, time.monotonic() + STUCK_S))
        return facts, self._read(size, time.monotonic() + STUCK_S)

    def end(self, limits: Limits) -> tuple[RejectCode, str]:
        """Kill the process, if it still lives, and return what its end means for the file that it had in hand."""
        overdue = self._process.poll() is None and not select.select([self._replies], [], [], 0)[0]
        self._process.kill()
        try:
            status = self._process.wait(STUCK_S)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.forget()
        return out_of_time(limits) if overdue or status == -signal.SIGALRM else crashed(status)

    def forget(self) -> None:
        """Close the pipes, which ends the process once nobody else holds them, and wait for it no more."""
        if self._process.returncode is None:
            self._process.returncode = 0  # what is told otherwise is that it still runs
        for descriptor in (self._requests, self._replies, self._errors):
            os.close(descriptor)

    def _read(self, size: int, deadline: float) -> bytearray:
        found = bytearray(size)
        left = memoryview(found)
        while left:
            if not select.select([self._replies], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise _Ended
            count = os.readv(self._replies, [left])
            if not count:
                raise _Ended
            left = left[count:]
        return found


def _widen(pipe: int) -> None:
    """Let a pipe hold a small picture whole, so that the processes need not take turns; where the system can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # more pipes are open than the system grants room
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


class _Apart:
    """As `decode`, with the time limit and the memory of a decode worker; for threads and for single files."""

    def __init__(self) -> None:
        self._idle = list[_Process]()
        self._lock = threading.Lock()
        self._watched = False

    def __call__(self, data: bytes, *, limits: Limits | None = None, **how: Any) -> Decoded:
        """Return the picture in `data`; arguments are those of `decode`.

        Raises:
            ImageRejected: As `decode`, and timeout or worker_died.
            SimsearchError: The process could not be started.
        """
        limits = limits or Limits()
        require_size(len(data), limits.max_bytes)
        sniff(data)  # what is no image need not be sent
        process = self._taken()
        try:
            facts, pixels = process.ask({"limits": asdict(limits), **how}, data, limits)
        except _Ended:
            raise ImageRejected(*process.end(limits)) from None
        except BaseException:  # Ctrl-C: an answer is under way that nobody will fetch
            process.end(limits)
            raise
        self._give_back(process)
        if "code" in facts:
            raise ImageRejected(RejectCode(facts["code"]), facts["message"])
        width, height = facts["size"]
        picture = Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 0, 1)
        return Decoded(picture, facts["width"], facts["height"], facts["format"], facts["more"], facts["plain"])

    def _taken(self) -> _Process:
        with self._lock:
            if not self._watched:
                atexit.register(self._end)
                os.register_at_fork(after_in_child=self._forget)
                self._watched = True
            if self._idle:
                return self._idle.pop()
        return _Process()

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(process)
                return
        process.end(Limits())

    def _end(self) -> None:
        while self._idle:
            self._idle.pop().end(Limits())

    def _forget(self) -> None:
        """Forget the processes in a forked child: they are the parent's."""
        self._lock = threading.Lock()
        while self._idle:
            self._idle.pop().forget()


decode_apart = _Apart()
