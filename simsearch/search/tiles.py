"""Work on rows tile by tile: as many at once as stay in a core's cache, or as fill a GPU without filling its memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_CPU_CELLS = 1 << 15  # numbers in a tile; torch would split more among its threads and wait for the slowest
_GPU_CELLS = 1 << 24


def each_tile(work: Callable[[slice], None], shape: tuple[int, int], device: torch.device) -> None:
    """Call `work` for slices that cover the rows of an array (n, d); on a CPU on as many threads as torch takes."""
    on_cpu = device.type == "cpu"
    step = max(1, (_CPU_CELLS if on_cpu else _GPU_CELLS) // shape[1])
    tiles = [slice(start, start + step) for start in range(0, shape[0], step)]
    threads = torch.get_num_threads() if on_cpu else 1
    if threads == 1 or len(tiles) == 1:
        deque(map(work, tiles), maxlen=0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            deque(pool.map(work, tiles), maxlen=0)
