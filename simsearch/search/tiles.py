"""Work on a large array tile by tile, each of which stays in a core's cache from its first pass to its last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_CELLS = 1 << 17  # numbers in a tile


def each_tile(work: Callable[[slice], None], array: NDArray[Any]) -> None:
    """Call `work` for slices that cover the rows of an array (n, d), on as many threads as torch would take.

    Numpy on threads of our own: torch would split each of the small operations among its threads and wait for the
    slowest, which on a busy machine costs far more than the operation. Warnings of numpy are off.
    """
    step = max(1, _CELLS // array.shape[1])
    tiles = [slice(start, start + step) for start in range(0, len(array), step)]

    def quietly(tile: slice) -> None:
        with np.errstate(all="ignore"):  # dead rows may hold anything
            work(tile)

    threads = torch.get_num_threads()
    if threads == 1 or len(tiles) == 1:
        deque(map(quietly, tiles), maxlen=0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            deque(pool.map(quietly, tiles), maxlen=0)
