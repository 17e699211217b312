"""A compiled pass over codes for queries that kept their margins; it runs without Python's lock."""

from __future__ import annotations

from typing import Any

from numba import njit

_GROUP = 4096  # codes that all queries see while they are in a cache


@njit(nogil=True)
def nearest(rows: Any, tables: Any, limit: float, found: Any) -> None:
    """Add some codes to what is known of the k nearest of each query.

    Args:
        rows: Codes (n, bytes), which of them count (n,) bool, or (0,) for all, and the position of the first.
        tables: What each value of each byte adds to the distance (q, bytes, 256) float64.
        limit: What a distance must be below.
        found: Distances float64 and positions int64 (q, k), nearest first, infinite where there is none yet.
    """
    codes, live, base = rows
    distances, positions = found
    last = distances.shape[1] - 1
    for start in range(0, len(codes), _GROUP):
        for query in range(len(tables)):
            table = tables[query]
            for i in range(start, min(start + _GROUP, len(codes))):
                if len(live) and not live[i]:
                    continue
                distance = 0.0
                for byte in range(codes.shape[1]):
                    distance += table[byte, codes[i, byte]]
                if distance < min(limit, distances[query, last]):
                    place = last
                    while place > 0 and distances[query, place - 1] > distance:
                        distances[query, place] = distances[query, place - 1]
                        positions[query, place] = positions[query, place - 1]
                        place -= 1
                    distances[query, place], positions[query, place] = distance, base + i
