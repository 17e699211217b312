"""Compiled loops of multi-index hashing: values of chunks, and codes looked up by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simsearch.runtime.jit import compiled
from simsearch.search.hamming.kernels import popcount, trailing_zeros


@compiled("values of chunks")
def values_of(words: NDArray[np.uint32], first: int, bits: int) -> Any:
    """Return the value (n,) of some consecutive bits of codes (n, m)."""
    values = np.empty(len(words), np.int64)
    for i in range(len(words)):
        values[i] = _value(words[i], first, bits)
    return values


@compiled("probe")
def probe(tables: Any, queries: Any, after: Any, task: Any, found: Any) -> Any:
    """Find the codes within a radius of queries, from one of them on, until the buffers may be full.

    Args:
        tables: Codes (n, m) uint32; in the order of each chunk their position and the same (c, n, 1 + m), or
            (c, 0, 1 + m); where those of each value begin, chunk after chunk; positions by chunk (c, n); first bit and
            length of each chunk (c, 2); radius of each (c,).
        queries: Their words (q, m).
        after: Find only codes behind this position (q,).
        task: The query to start with, and the radius.
        found: Takes query, count and position of each hit (room,), and how many codes were counted (q,).

    Returns:
        The query to resume at, whose hits are not among those written, and how many are.
    """
    words, ordered, starts, order, chunks, radii = tables
    in_order, width = ordered.shape[1] > 0, words.shape[1]
    first, radius = task
    query_ids, counts, positions, looked_at = found
    length = 0
    for query_id in range(first, len(queries)):
        query, before, looked = queries[query_id], length, 0
        base = 0
        for chunk in range(len(chunks)):
            bits = chunks[chunk, 1]
            query_value = _value(query, chunks[chunk, 0], bits)
            for differing in range(radii[chunk] + 1):
                flips = (np.int64(1) << differing) - 1
                while flips < np.int64(1) << bits:
                    value = base + (query_value ^ flips)
                    low = starts[value]
                    for place in range(starts[value + 1] - 1, low - 1, -1):
                        code = np.int64(ordered[chunk, place, 0] if in_order else order[chunk, place])
                        if code <= after[query_id]:
                            break
                        looked += 1
                        count = np.int64(0)
                        for w in range(width):
                            word = ordered[chunk, place, 1 + w] if in_order else words[code, w]
                            count += np.int64(popcount(np.uint64(word ^ query[w])))
                        if count <= radius and not _seen(words[code], query, chunks[:chunk], radii):
                            if length == len(query_ids):
                                return query_id, before
                            query_ids[length], counts[length], positions[length] = query_id, count, code
                            length += 1
                    if differing == 0:
                        break
                    flips = _next_with_as_many_ones(flips)
            base += (np.int64(1) << bits) + 1
        looked_at[query_id] = looked
    return len(queries), length


@njit(nogil=True)
def _value(code: Any, first: Any, bits: Any) -> Any:
    word = first >> 5
    pair = np.uint64(code[word])
    if word + 1 < len(code):
        pair |= np.uint64(code[word + 1]) << np.uint64(32)
    return np.int64((pair >> np.uint64(first & 31)) & np.uint64((np.int64(1) << bits) - 1))


@njit(nogil=True)
def _seen(code: Any, query: Any, chunks: Any, radii: Any) -> Any:
    """Return whether an earlier chunk has led to the code."""
    for chunk in range(len(chunks)):
        first, bits = chunks[chunk]
        apart = np.uint64(_value(code, first, bits)) ^ np.uint64(_value(query, first, bits))
        if np.int64(popcount(apart)) <= radii[chunk]:
            return True
    return False


@njit(nogil=True)
def _next_with_as_many_ones(value: Any) -> Any:
    """Return the next larger number with as many ones."""
    lowest = value & -value
    ripple = value + lowest
    return ripple | (((value ^ ripple) >> 2) >> np.int64(trailing_zeros(np.uint64(value))))
