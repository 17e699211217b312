"""Compiled passes over codes for queries with margins; they release the GIL."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from simsearch.runtime.jit import compiled
from simsearch.search.hamming.fast_scan import LANES, SHUFFLES, empty_planes, nearer, planes_of, split, tabulate
from simsearch.search.hamming.kernels import trailing_zeros

_GROUP = 4096  # codes that all queries see while they are in a cache
_SHRUNK = 0.9  # of the limit that a table was made for, where a new one is worth its time


@compiled("every code by margins")
def every(rows: Any, tables: Any, limit: float, found: Any) -> None:
    """Look up every code for every query."""
    codes, live, base = rows
    distances, positions = found
    for start in range(0, len(codes), _GROUP):
        for query in range(len(tables)):
            for i in range(start, min(start + _GROUP, len(codes))):
                if len(live) == 0 or live[i]:
                    _take((codes[i], base + i), tables[query], limit, (distances[query], positions[query]))


@compiled("codes by margins")
def bounded(rows: Any, tables: Any, limit: float, found: Any) -> None:
    """Look up only codes whose lower bound is within the limit."""
    codes, live, base = rows
    distances, positions = found
    q, last, count = len(tables), distances.shape[1] - 1, planes_of(codes.shape[1])
    planes, shares, made_for = empty_planes(count), np.empty((q, count, 16), np.uint8), np.full(q, np.inf)
    wholes = np.zeros(q, np.uint8)
    for start in range(0, len(codes), LANES):
        split(codes, start, planes)
        some = np.uint64(64 - min(LANES, len(codes) - start))  # of a word for the lanes, unused
        valid = ~np.uint64(0) >> some
        for query in range(q):
            farthest = min(limit, distances[query, last])
            if farthest == 0:
                continue
            if farthest < _SHRUNK * made_for[query]:
                wholes[query] = tabulate(tables[query], farthest, shares[query])
                made_for[query] = farthest
            near = valid & nearer(planes, shares[query], wholes[query]) if made_for[query] < np.inf else valid
            while near:
                i = start + np.int64(trailing_zeros(near))
                near &= near - np.uint64(1)
                if len(live) == 0 or live[i]:
                    _take((codes[i], base + i), tables[query], limit, (distances[query], positions[query]))


@njit(nogil=True, inline="always")
def _take(row: Any, table: Any, limit: float, found: Any) -> None:
    """Put a code in its place among the nearest, behind equals."""
    code, position = row
    distances, positions = found
    distance = 0.0
    for byte in range(len(code)):
        distance += table[byte, code[byte]]
    distance = np.float64(np.float32(distance))  # ties are decided in float32, as in results
    place = len(distances) - 1
    if distance >= min(limit, distances[place]):
        return
    while place > 0 and distances[place - 1] > distance:
        distances[place], positions[place] = distances[place - 1], positions[place - 1]
        place -= 1
    distances[place], positions[place] = distance, position


nearest = bounded if SHUFFLES else every
"""Update the k nearest of each query with codes: `nearest(rows, tables, limit, found)`.

`rows` is codes (n, bytes), in one piece, which of them count (n,) bool, or (0,) for all, and the position of the first;
`tables` what each value of each byte adds to the distance (q, bytes, 256) float64; `limit` what a distance must be
below; `found` distances float64 and positions int64 (q, k), nearest first, infinite where there is none yet.
"""
