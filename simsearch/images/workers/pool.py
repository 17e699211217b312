"""Preparing many inputs in worker processes, each killable: a crash or a hang costs one reject, order is kept."""

from __future__ import annotations

import itertools
import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from simsearch.errors import InputError, SimsearchError
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.workers.prepared import Prepared, prepare_one
from simsearch.images.workers.process import DEPTH, Child, DecodeJob
from simsearch.images.workers.protocol import square_sizes
from simsearch.images.workers.single import decode_apart

__all__ = ["Prepared", "prepare"]

START_ANOTHER = 4  # requests under way at every worker before one more is started
LOOK_AHEAD = 2 * DEPTH  # inputs begun and not yet taken, for each worker
MOST_AHEAD = 1 << 29  # and bytes of their pixels, for all workers

WAKE_S = 0.25  # how long a caller who waits for a worker may be deaf
STARVE_S = 0.002  # how long finished workers may wait for a caller who has results to take


def prepare(
    sources: Iterable[Source | Rejected],
    preprocessing: Preprocessing | Sequence[Preprocessing],
    *,
    workers: int,
    limits: Limits | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[Prepared | Rejected]:
    """Return each input prepared or rejected, in input order; as many as there were inputs.

    Args:
        sources: What `find` yields; a `Rejected` passes through in its place. Read a bounded number ahead.
        preprocessing: What to do with each picture; several give as many `squares`, from one reading of the file.
        workers: How many processes; 0 works in this one, but for decoding, for which a single process stays warm.
        limits: What one image may cost.
        stop: Asked while a worker is waited for; once it says true, nothing more is yielded. For a caller in another
            thread, which cannot close the generator.

    Raises:
        InputError: A negative number of workers.
        SimsearchError: A worker could not be started.
    """
    if workers < 0:
        raise InputError(f"workers is {workers}; give 0 or more")
    limits = limits or Limits()
    each = (preprocessing,) if isinstance(preprocessing, Preprocessing) else tuple(preprocessing)
    if workers == 0:
        return _here(sources, each, limits)
    return in_order(sources, Pool(each, limits, workers), stop)


def _here(
    sources: Iterable[Source | Rejected], preprocessings: Sequence[Preprocessing], limits: Limits
) -> Iterator[Prepared | Rejected]:
    for source in sources:
        yield source if isinstance(source, Rejected) else prepare_apart(source, preprocessings, limits)


def prepare_apart(source: Source, preprocessings: Sequence[Preprocessing], limits: Limits) -> Prepared | Rejected:
    """Return one input prepared in this process but for its decoding, which a warm process of its own does."""
    return prepare_one(source, preprocessings, limits, decoder=decode_apart)


def in_order(
    sources: Iterable[Source | Rejected], pool: Pool, stop: Callable[[], bool] | None = None
) -> Iterator[Prepared | Rejected]:
    """Yield the results of a pool in input order, and close it at the end or when the generator is closed."""
    waiting = deque[DecodeJob]()
    remaining = iter(sources)
    try:
        while True:
            for source in itertools.islice(remaining, pool.look_ahead - len(waiting)):
                waiting.append(pool.submit(source))
            if not waiting:
                return
            if time.monotonic() > pool.pumped + STARVE_S:
                pool.pump(block=False)
            if not pool.wait(waiting[0], stop):
                return
            yield waiting.popleft().taken()
    finally:
        pool.close()


class Pool:
    """Worker processes and the jobs that they have; started as they are needed."""

    def __init__(
        self, preprocessings: tuple[Preprocessing, ...], limits: Limits, workers: int, *, extra: tuple[str, ...] = ()
    ) -> None:
        most = MOST_AHEAD // sum(square_sizes(preprocessings))
        self.look_ahead = max(workers, min(workers * LOOK_AHEAD, most))
        self._preprocessings, self._limits, self._count, self._extra = preprocessings, limits, workers, extra
        self.pumped = time.monotonic()
        self._children: list[Child] = []
        self._backlog = deque[DecodeJob]()
        self._selector = selectors.DefaultSelector()

    def submit(self, source: Source | Rejected) -> DecodeJob:
        """Return the job that will hold the result."""
        if isinstance(source, Rejected):
            return DecodeJob(source.source, source)
        if isinstance(source.given, tuple):  # decoded, and not to be sent about
            return DecodeJob(source.without_data(), prepare_one(source, self._preprocessings, self._limits))
        job = DecodeJob(source)
        self._backlog.append(job)
        self._feed()
        return job

    def pump(self, *, block: bool) -> None:
        """Take in what the workers have said, waiting for something if `block`, and give them more."""
        self.pumped = now = time.monotonic()
        patience = min((child.deadline - now for child in self._children), default=0.0)
        for key, events in self._selector.select(min(max(0.0, patience), WAKE_S) if block else 0):
            child: Child = key.data
            if child not in self._children:  # buried a moment ago; its descriptors are closed
                continue
            if events & selectors.EVENT_WRITE:
                child.flush()
            if events & selectors.EVENT_READ and not child.receive():
                self._bury(child)
        for child in [child for child in self._children if child.deadline <= time.monotonic()]:
            self._bury(child)
        self._feed()

    def wait(self, job: DecodeJob, stop: Callable[[], bool] | None) -> bool:
        """Return once a job has its result; False where `stop` said true before."""
        while job.result is None:
            if stop is not None and stop():
                return False
            self.pump(block=True)
        return True

    def close(self) -> None:
        """End every worker at once."""
        for child in self._children:
            child.end()
        self._children.clear()
        self._selector.close()

    def _feed(self) -> None:
        while self._backlog:
            child = min(self._children, key=lambda child: len(child.jobs), default=None)
            if child is None or (len(child.jobs) >= START_ANOTHER and len(self._children) < self._count):
                child = Child(self._preprocessings, self._limits, self._selector, self._extra)
                self._children.append(child)
            if len(child.jobs) >= DEPTH:
                return
            child.send(self._backlog.popleft())

    def _bury(self, child: Child) -> None:
        """Blame a dead or overdue worker's death on its current job; others take over the rest."""
        self._children.remove(child)
        code, message = child.end()
        if not child.ready:
            raise SimsearchError(f"a decode worker could not be started: {message}")
        if child.jobs:
            job = child.jobs.popleft()
            job.result = Rejected(job.source.without_data(), code, message)
        self._backlog.extendleft(reversed(child.jobs))
