"""Tiled work on a large array: each tile stays in a core's cache from its first pass to its last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simsearch.runtime.threads import pool

_CELLS = 1 << 17  # numbers in a tile


def each_tile(work: Callable[[slice], None], array: NDArray[Any]) -> None:
    """Call `work` for slices that cover the rows of an array (n, d), on as many threads as torch would take.

    Numpy in our own thread pool: torch would split each of the small operations among its threads and wait for the
    slowest, which on a busy machine costs far more than the operation. Warnings of numpy are off.
    """

    def quietly(tile: slice) -> None:
        with np.errstate(all="ignore"):  # dead rows may hold anything
            work(tile)

    in_parts(quietly, len(array), _CELLS // array.shape[1])


def in_parts(work: Callable[[slice], None], length: int, step: int) -> None:
    """Call `work` for slices that cover a length, `step` long (at least 1), on as many threads as torch would take.

    The work must not call this again: it would deadlock.
    """
    step = max(1, step)
    parts = [slice(start, start + step) for start in range(0, length, step)]
    threads = torch.get_num_threads()
    alone = threads == 1 or len(parts) == 1
    deque(map(work, parts) if alone else pool(threads).map(work, parts), maxlen=0)
