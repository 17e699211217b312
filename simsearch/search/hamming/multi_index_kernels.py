"""Compiled loops of multi-index hashing: values of chunks, and codes looked up by them."""

from __future__ import annotations

from functools import cache
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
def probe(tables: Any, queries: Any, task: Any, found: Any) -> Any:
    """Find the codes within a radius of queries, from one of them on, until the buffers may be full.

    Args:
        tables: Codes (n, m) uint32; where those of each value begin, chunk after chunk; positions by chunk (c, n);
            first bit and length of each chunk (c, 2); radius of each (c,).
        queries: Their words (q, m).
        task: The query to start with, the radius, and how many codes are counted for a query: one with more candidates
            is left out.
        found: Takes query, count and position of each hit (room,), and how many candidates each query has (q,).

    Returns:
        The query to resume at, whose hits are not among those written, and how many are.
    """
    words, starts, order, chunks, radii = tables
    first, radius, most = task
    query_ids, counts, positions, looked_at = found
    length = 0
    for query_id in range(first, len(queries)):
        query, before = queries[query_id], length
        looked_at[query_id] = _candidates(query, starts, chunks, radii)
        if looked_at[query_id] > most:
            continue
        base = 0
        for chunk in range(len(chunks)):
            bits = chunks[chunk, 1]
            query_value = _value(query, chunks[chunk, 0], bits)
            for differing in range(radii[chunk] + 1):
                flips = (np.int64(1) << differing) - 1
                while flips < np.int64(1) << bits:
                    value = base + (query_value ^ flips)
                    for place in range(starts[value], starts[value + 1]):
                        code = np.int64(order[chunk, place])
                        count = np.int64(0)
                        for w in range(words.shape[1]):
                            count += np.int64(popcount(np.uint64(words[code, w] ^ query[w])))
                        if count <= radius and not _seen(words[code], query, chunks[:chunk], radii):
                            if length == len(query_ids):
                                return query_id, before
                            query_ids[length], counts[length], positions[length] = query_id, count, code
                            length += 1
                    if differing == 0:
                        break
                    flips = _next_with_as_many_ones(flips)
            base += (np.int64(1) << bits) + 1
    return len(queries), length


@compiled("table of a chunk")
def table_of(words: NDArray[np.uint32], first: int, bits: int) -> Any:
    """Return codes (n, m) in order of their value in a chunk, their positions (n,), and where each value begins."""
    starts = np.zeros((np.int64(1) << bits) + 1, np.int64)
    for i in range(len(words)):
        starts[_value(words[i], first, bits) + 1] += 1
    for value in range(np.int64(1) << bits):
        starts[value + 1] += starts[value]
    ends, ordered, positions = starts[:-1].copy(), np.empty_like(words), np.empty(len(words), np.uint32)
    for i in range(len(words)):
        value = _value(words[i], first, bits)
        ordered[ends[value]], positions[ends[value]] = words[i], i
        ends[value] += 1
    return ordered, positions, starts


@compiled("near values")
def near_values(bits: int, radius: int, count: int) -> Any:
    """Return the values (count,) of a chunk that have at most `radius` ones."""
    values, length = np.zeros(count, np.int64), 1
    for ones in range(1, min(radius, bits) + 1):
        value = (np.int64(1) << ones) - 1
        while value < np.int64(1) << bits:
            values[length] = value
            length += 1
            value = _next_with_as_many_ones(value)
    return values


@cache
def join(width: int) -> Any:
    """Return the join of a chunk's table with itself, for codes of so many words."""

    @compiled("join", width)
    def join(table: Any, chunks: Any, radii: Any, task: Any, found: Any) -> Any:
        """Find the pairs of codes whose first stands in some places of a table, until the buffers may be full.

        Args:
            table: As of `table_of`.
            chunks: First bit and length of each (c, 2).
            radii: Of each chunk (c,).
            task: The chunk of the table, the radius, and the first place and the end of those.
            found: Takes the positions of both and the count of each pair (room,), in no order.

        Returns:
            The place to resume at, whose pairs are not among those written, and how many are.
        """
        words, positions, starts = table
        number, radius, first, end = task
        left, right, counts = found
        length, code = 0, np.empty(width, np.uint32)
        for place in range(first, end):
            before = length
            for w in range(width):
                code[w] = words[place, w]
            own = _value(code, chunks[number, 0], chunks[number, 1])
            for differing in range(radii[number] + 1):
                flips = (np.int64(1) << differing) - 1
                while flips < np.int64(1) << chunks[number, 1]:
                    value = own ^ flips
                    start = place + 1 if differing == 0 else starts[value]
                    for other in range(start, starts[value + 1] if value >= own else start):
                        count = np.int64(0)
                        for w in range(width):
                            count += np.int64(popcount(np.uint64(words[other, w] ^ code[w])))
                        if count <= radius and not _seen(words[other], code, chunks[:number], radii):
                            if length == len(left):
                                return place, before
                            left[length], right[length], counts[length] = positions[place], positions[other], count
                            length += 1
                    if differing == 0:
                        break
                    flips = _next_with_as_many_ones(flips)
        return end, length

    return join


@njit(nogil=True)
def _candidates(query: Any, starts: Any, chunks: Any, radii: Any) -> Any:
    """Return how many codes have a chunk near the query's, those with several counted as often."""
    total, base = np.int64(0), np.int64(0)
    for chunk in range(len(chunks)):
        bits = chunks[chunk, 1]
        query_value = _value(query, chunks[chunk, 0], bits)
        for differing in range(radii[chunk] + 1):
            flips = (np.int64(1) << differing) - 1
            while flips < np.int64(1) << bits:
                value = base + (query_value ^ flips)
                total += np.int64(starts[value + 1]) - np.int64(starts[value])
                if differing == 0:
                    break
                flips = _next_with_as_many_ones(flips)
        base += (np.int64(1) << bits) + 1
    return total


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
