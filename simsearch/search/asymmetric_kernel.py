"""A compiled pass over codes for queries that kept their margins; it runs without Python's lock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_GROUP = 4096  # codes that all queries see while they are in a cache


@njit(nogil=True)
def nearest(rows: Any, tables: Any, k: int, found: Any) -> None:
    """Add some codes to what is known of the k nearest of each query.

    Args:
        rows: Codes (n, bytes), which of them count (n,) bool, or (0,) for all, and the position of the first.
        tables: What each value of each byte adds to the distance (q, bytes, 256) float64.
        k: Codes a query.
        found: Distances float64 and positions int64 (q, room), where room > k, how many of them are there (q,), and the
            distance that a code must be below (q,), which sinks.
    """
    codes, live, base = rows
    distances, positions, filled, limits = found
    for start in range(0, len(codes), _GROUP):
        for query in range(len(tables)):
            table = tables[query]
            for i in range(start, min(start + _GROUP, len(codes))):
                if len(live) and not live[i]:
                    continue
                distance = 0.0
                for byte in range(codes.shape[1]):
                    distance += table[byte, codes[i, byte]]
                if distance < limits[query]:
                    distances[query, filled[query]] = distance
                    positions[query, filled[query]] = base + i
                    filled[query] += 1
                    if filled[query] == distances.shape[1]:
                        limits[query] = _keep_nearest(distances[query], positions[query], k)
                        filled[query] = k


@njit(nogil=True)
def _keep_nearest(distances: Any, positions: Any, k: int) -> Any:
    """Move the k nearest to the front, in the order they came, the first among equals; give the farthest distance."""
    bound = np.partition(distances, k - 1)[k - 1]
    ties = k
    for distance in distances:
        if distance < bound:
            ties -= 1
    kept = 0
    for i in range(len(distances)):
        tied = distances[i] == bound
        if distances[i] < bound or (tied and ties > 0):
            if tied:
                ties -= 1
            distances[kept], positions[kept] = distances[i], positions[i]
            kept += 1
    return bound
