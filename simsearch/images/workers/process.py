"""The parent's side of one decode worker: its process, pipes, shared memory and jobs."""

from __future__ import annotations

import itertools
import mmap
import os
import selectors
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simsearch.errors import RejectCode
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.workers.prepared import Prepared
from simsearch.images.workers.protocol import CODES, READY, REPLY, REQUEST, Settings, square_sizes

DEPTH = 16  # requests under way at one worker: enough that it never waits for a busy parent
START_S = 60.0  # a worker that is not ready by then never will be
STUCK_S = 10.0  # that a killed worker may take to be gone
GRACE_S = 5.0  # the worker's own alarm comes first; this is for one that cannot even be woken
PACKAGE_HOME = str(Path(__file__).resolve().parents[3])


@dataclass(slots=True)
class DecodeJob:
    """One input and, once there is one, its result."""

    source: Source
    result: Prepared | Rejected | None = None

    def taken(self) -> Prepared | Rejected:
        """Return the result.

        Raises:
            LookupError: There is none yet.
        """
        if self.result is None:
            raise LookupError("the job is not done")
        return self.result


class Child:
    """One worker process; `jobs` are those that it was given and has not answered, in order."""

    def __init__(
        self,
        preprocessings: tuple[Preprocessing, ...],
        limits: Limits,
        selector: selectors.BaseSelector,
        extra: tuple[str, ...],
    ) -> None:
        self.jobs = deque[DecodeJob]()
        self.ready = False
        self._limits, self._selector = limits, selector
        self._since, self._count = time.monotonic(), 0
        self._outbox, self._inbox = bytearray(), bytearray()
        self._sides, sizes = [how.size for how in preprocessings], square_sizes(preprocessings)
        self._ends, shape = list(itertools.accumulate(sizes[:-1])), (DEPTH, sum(sizes))
        memory = _anonymous_memory(int(np.prod(shape)))
        try:
            self._slots = np.frombuffer(mmap.mmap(memory, int(np.prod(shape))), np.uint8).reshape(shape)
            settings = Settings(preprocessings, limits, memory, DEPTH)
            self._process = spawn("simsearch.images.workers.worker", settings.to_json(), *extra, pass_fds=(memory,))
        finally:
            os.close(memory)  # the mapping and the child keep it
        self._requests, self._replies, self._errors = pipes(self._process)
        os.set_blocking(self._requests, False)
        selector.register(self._replies, selectors.EVENT_READ, self)

    @property
    def deadline(self) -> float:
        """When, by the monotonic clock, the worker is to be given up; never while it has nothing to do."""
        if not self.ready:
            return self._since + START_S
        return self._since + self._limits.timeout_s + GRACE_S if self.jobs else float("inf")

    def send(self, job: DecodeJob) -> None:
        """Give the worker a job; at most `DEPTH` at a time, since answers to more would overwrite each other."""
        if not self.jobs and self.ready:
            self._since = time.monotonic()
        source = job.source
        data = source.given if isinstance(source.given, bytes) else b""
        file = b"" if data else source.file  # bytes that were fetched from elsewhere go by themselves
        header = REQUEST.pack(self._count % DEPTH, len(file), source.offset, len(data) or source.size)
        self._count += 1
        self.jobs.append(job)
        self._outbox += header + file + data
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes now; the rest when it has room."""
        try:
            written = os.write(self._requests, self._outbox)
            del self._outbox[:written]
            if self.ready and written:  # a picture from memory is longer than a pipe: who takes it in is not stuck
                self._since = time.monotonic()
        except BlockingIOError:
            pass
        except BrokenPipeError:  # it has died; reading its replies will tell
            self._outbox.clear()
        waiting = self._requests in self._selector.get_map()
        if self._outbox and not waiting:
            self._selector.register(self._requests, selectors.EVENT_WRITE, self)
        elif waiting and not self._outbox:
            self._selector.unregister(self._requests)

    def receive(self) -> bool:
        """Take in replies; False when there will be no more."""
        text = os.read(self._replies, 1 << 16)
        self._inbox += text
        self._since = time.monotonic()
        if text and not self.ready:
            self.ready = True
            self._inbox = self._inbox.removeprefix(READY)
        while self._answer():
            pass
        return bool(text)

    def _answer(self) -> bool:
        if len(self._inbox) < REPLY.size:
            return False
        code, quality, more, length, width, height, n_bytes, sha256 = REPLY.unpack_from(self._inbox)
        if len(self._inbox) < REPLY.size + length:
            return False
        message = self._inbox[REPLY.size : REPLY.size + length].decode("utf-8", "replace")
        del self._inbox[: REPLY.size + length]
        slot = (self._count - len(self.jobs)) % DEPTH
        job = self.jobs.popleft()
        source = job.source = job.source.without_data()
        if code:
            job.result = Rejected(source, CODES[code - 1], message)
        else:
            # The one copy of the pixels: their slot is about to be used again.
            parts = np.split(self._slots[slot].copy(), self._ends)
            squares = tuple(part.reshape(side, side, 3) for part, side in zip(parts, self._sides, strict=True))
            job.result = Prepared(source, squares, sha256, n_bytes, width, height, quality, more)
        return True

    def end(self) -> tuple[RejectCode, str]:
        """Kill the worker, if it still lives, and return what its end means for the job that it had in hand."""
        overdue = self._process.poll() is None and self.deadline <= time.monotonic()
        for descriptor in (self._replies, self._requests):
            if descriptor in self._selector.get_map():
                self._selector.unregister(descriptor)
        self._process.kill()
        last_words = b""
        try:
            status = self._process.wait(STUCK_S)
            if not self.ready:
                last_words = os.read(self._errors, 1 << 16).strip()
        except subprocess.TimeoutExpired:  # held in the kernel by a disk that does not answer; it dies when that ends
            status = -signal.SIGKILL
        for descriptor in (self._replies, self._requests, self._errors):
            os.close(descriptor)
        if not self.ready:
            return RejectCode.WORKER_DIED, last_words.decode("utf-8", "replace") or f"status {status}"
        if overdue or status == -signal.SIGALRM:
            return out_of_time(self._limits)
        return crashed(status)


def out_of_time(limits: Limits) -> tuple[RejectCode, str]:
    """Return the message for an image that its worker did not finish."""
    return RejectCode.TIMEOUT, f"not done after {limits.timeout_s:g} seconds"


def crashed(status: int) -> tuple[RejectCode, str]:
    """Return the message for an image whose worker ended with that status."""
    ending = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return RejectCode.WORKER_DIED, f"the decoder crashed ({ending})"


def _anonymous_memory(size: int) -> int:
    """Return a file descriptor of shared memory without a name, which therefore cannot be left behind."""
    if sys.platform == "linux":
        memory = os.memfd_create("simsearch-pixels")
    else:
        with tempfile.TemporaryFile() as file:
            memory = os.dup(file.fileno())
    os.ftruncate(memory, size)
    return memory


def spawn(module: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter: threads and a GPU are not forked, and the caller's `__main__` is not run again."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | importable()
    # -P: whatever lies in the current folder must not be imported.
    command = [sys.executable, "-P", "-m", module, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, pass_fds=pass_fds, env=environment
    )


def importable() -> dict[str, str]:
    """Return the environment of an interpreter that can import this package, installed or not."""
    if PACKAGE_HOME in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return {}
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": PACKAGE_HOME + (os.pathsep + inherited if inherited else "")}


def pipes(process: subprocess.Popen[bytes]) -> tuple[int, int, int]:
    """Return the three descriptors, taken out of the file objects that would close them on collection."""
    streams = (process.stdin, process.stdout, process.stderr)
    first, second, third = (os.dup(stream.fileno()) for stream in streams if stream is not None)
    for stream in streams:
        if stream is not None:
            stream.close()
    process.stdin = process.stdout = process.stderr = None
    return first, second, third
