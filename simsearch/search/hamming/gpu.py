"""The nearest codes on a GPU, exactly: counts of bits need neither a bound nor a second pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.search.metrics.hamming_triton import BLOCK, MOST_ROWS, as_int32, keys_of, lowest_keys
from simsearch.search.scan.blocks import Scan

_KEY = 24  # bytes of memory for a code whose key is made: the key, and what choosing among keys takes
_LEAST = 16  # and for each block of codes


def nearest(scan: Scan, queries: Tensor, *, k: int, radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return differing bits and positions (q, k), nearest first, ties to the lower position; -1 where there is none.

    Args:
        scan: Over codes.
        queries: (q, bytes), on the device.
        k: At least 1.
        radius: The largest number of differing bits that counts.
    """
    words = as_int32(queries)
    counts, positions = np.full((2, len(queries), k), -1, np.int64)
    for group in _groups(scan, len(queries), k):
        keys = _keys(scan, words[group], k)
        if keys is not None:
            found = keys_of(keys.cpu().numpy())
            there = found.found & (found.counts <= radius)
            for target, values in ((counts, found.counts), (positions, found.positions)):
                target[group, : keys.shape[1]] = np.where(there, values, -1)
    return counts, positions


def _keys(scan: Scan, words: Tensor, k: int) -> Tensor | None:
    """Return the lowest keys of all codes."""
    best = None
    for chunk in scan.chunks(resident=_at_once(scan, k)):
        if len(chunk.rows):
            live = None if chunk.live is None else torch.from_numpy(chunk.live).to(scan.device).view(torch.uint8)
            keys = lowest_keys(words, as_int32(chunk.rows), k, live=live, start=chunk.start)
            if best is not None:
                both = torch.cat([best, keys], dim=1)
                keys = torch.topk(both, min(k, both.shape[1]), dim=1, largest=False).values
            best = keys
    return best


def _at_once(scan: Scan, k: int) -> int:
    """Return the largest batch of codes on the device for which k blocks of keys fit."""
    room = scan.budget // _KEY
    return MOST_ROWS if k * BLOCK <= room else max(BLOCK, room)


def _groups(scan: Scan, queries: int, k: int) -> Iterator[slice]:
    """Yield batches of queries."""
    rows = min(scan.rows, _at_once(scan, k))
    step = max(1, scan.budget // (_KEY * min(k * BLOCK, rows + BLOCK) + _LEAST * (rows // BLOCK + 1)))
    return (slice(start, start + step) for start in range(0, queries, step))
