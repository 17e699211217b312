"""Shared, persistent thread pools: starting threads takes as long as a small search."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import cache
from typing import Any

from simsearch.errors import InputError


def thread_count(threads: int | None) -> int:
    """Return the number of threads, by default one a core.

    Raises:
        InputError: There are fewer than one.
    """
    from simsearch.runtime.cpu import default_workers

    count = default_workers() if threads is None else threads
    if count < 1:
        raise InputError(f"threads is {threads} and must be at least 1")
    return count


def pool(count: int) -> Executor:
    """Return a pool of that many threads, never shut down; a single one is the caller's own, whose core is awake.

    Work that runs in it must not use the same pool: it would deadlock.
    """
    return _CallerThread() if count == 1 else _pool_of(count, os.getpid())


@cache
def _pool_of(count: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001
    return ThreadPoolExecutor(count)  # a forked process has none of its parent's threads


class _CallerThread(Executor):
    """An executor that runs work in the calling thread."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Return a finished future of the work; its errors are raised at once."""
        future: Future[Any] = Future()
        future.set_result(work(*arguments, **named))
        return future
