"""Jobs on all cores: spawned processes of one thread each, few jobs under way, their bytes bounded."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection
from typing import Any, TypeVar

from simsearch.errors import SimsearchError

Job = TypeVar("Job")
Done = TypeVar("Done")

Progress = Callable[[int, int | None], None]

_AHEAD = 2  # jobs for each worker


class Pool:
    """Worker processes, started with the first job; with 0 workers jobs run in this process.

    Attributes:
        workers: Number of processes.
        budget: Bytes that the jobs under way may take together; one job always may run.
    """

    def __init__(self, workers: int, *, budget: int | None = None) -> None:
        self.workers = workers
        self.budget = memory() // 2 if budget is None else budget
        self._executor: ProcessPoolExecutor | None = None
        self._running: dict[Future[Any], tuple[Any, int]] = {}

    @property
    def busy(self) -> int:
        """Number of workers with a job."""
        return min(self.workers, sum(not future.done() for future in self._running))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def run(
        self, function: Callable[[Job], Done], jobs: Iterable[Job], *, cost: Callable[[Job], int] = lambda _: 0
    ) -> Iterator[tuple[Job, Done]]:
        """Yield each job with its result, in order of completion.

        Args:
            function: At the top of a module, so that a worker can import it.
            jobs: Picklable; read a few ahead.
            cost: Bytes that a job takes.

        Raises:
            SimsearchError: A worker died; or whatever the function raised.
        """
        if self.workers == 0:
            yield from ((job, function(job)) for job in jobs)
            return
        running = self._running
        try:
            for job in jobs:
                bytes_of_job = cost(job)
                while running and (
                    len(running) >= _AHEAD * self.workers
                    or sum(taken for _, taken in running.values()) + bytes_of_job > self.budget
                ):
                    yield from _finished(running)
                running[self._started().submit(function, job)] = job, bytes_of_job
            while running:
                yield from _finished(running)
        except BrokenProcessPool as error:
            raise SimsearchError(
                "a worker process died, perhaps for want of memory; what is finished is kept: run it again, "
                "with fewer --workers"
            ) from error
        finally:
            for future in running:
                future.cancel()
            running.clear()

    def map(
        self, function: Callable[[Job], Done], jobs: Sequence[Job], *, progress: Progress | None = None
    ) -> list[Done]:
        """Return the results of all jobs in their order; `progress` is called with (jobs done, jobs)."""
        found: dict[int, Done] = {}
        for job, done in self.run(function, jobs):
            found[id(job)] = done
            if progress is not None:
                progress(len(found), len(jobs))
        return [found[id(job)] for job in jobs]

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            spawn = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self.workers, mp_context=spawn, initializer=_begin)
        return self._executor


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Set torch's threads, where it is loaded: cores that are busy elsewhere only make it wait."""
    torch = sys.modules.get("torch")
    before = 0 if torch is None else torch.get_num_threads()
    if torch is not None and count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if torch is not None and count != before:
            torch.set_num_threads(before)


def single_threaded() -> None:
    """Limit the libraries that are loaded by now to one thread in this process."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(1)
    if (cv2 := sys.modules.get("cv2")) is not None:
        cv2.setNumThreads(1)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def memory() -> int:
    """Return the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, name="simsearch-parent", daemon=True).start()
    single_threaded()


def _end_with_parent() -> None:
    """End this process when its parent has gone, however that ended: it would wait at its queue for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)


def _finished(running: dict[Future[Any], tuple[Any, int]]) -> Iterator[tuple[Any, Any]]:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        job, _ = running.pop(future)
        yield job, future.result()
