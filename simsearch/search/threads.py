"""Threads that are shared and stay, since to start some takes as long as a small search."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def pool(count: int) -> ThreadPoolExecutor:
    """That many threads, never shut down.

    Work that runs on them must not ask for the same pool: it would wait for a thread that waits for it.
    """
    return _pool_of(count, os.getpid())


@cache
def _pool_of(count: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001
    return ThreadPoolExecutor(count)  # a forked process has none of its parent's threads
