"""Exact Hamming search by numpy, code by code: for work that is faster than compiling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.search.hamming.search import NO_HITS, Codes, Hits, Live, NearestCodes, in_order
from simsearch.search.hamming.shards import cut, pieces_of
from simsearch.search.packing import as_words

_ROWS = 1 << 20  # codes whose counts are held at once
_TILE = 1 << 14  # codes that stay in a cache while their words are counted


def nearest_plainly(queries: Codes, blocks: Sequence[Codes], *, k: int, live: Live | None, radius: int) -> NearestCodes:
    """See `hamming.nearest_codes`, of arguments that are checked."""
    counts, positions = np.full((len(queries), k), -1, np.int32), np.full((len(queries), k), -1, np.int64)
    filled = np.zeros(len(queries), np.int64)
    for query_id, differing, base in _counted(queries, blocks, live):
        old = slice(0, filled[query_id])
        largest = (
            min(radius, int(counts[query_id, -1]) - 1) if filled[query_id] == k else radius
        )  # of equals the first stay
        if k < len(differing):
            largest = min(largest, int(np.partition(differing, k - 1)[k - 1]))
        new = np.flatnonzero(differing <= largest)
        both = (
            np.concatenate([counts[query_id, old], differing[new]]),
            np.concatenate([positions[query_id, old], new + base]),
        )
        order = np.argsort(both[0], kind="stable")[:k]
        filled[query_id] = len(order)
        counts[query_id, : len(order)], positions[query_id, : len(order)] = both[0][order], both[1][order]
    return NearestCodes(counts, positions)


def within_plainly(queries: Codes, blocks: Sequence[Codes], *, radius: int, live: Live | None) -> Hits:
    """See `hamming.codes_within`, of arguments that are checked."""
    parts = [NO_HITS]
    for query_id, differing, base in _counted(queries, blocks, live):
        found = np.flatnonzero(differing <= radius)
        parts.append(Hits(np.full(len(found), query_id), differing[found].astype(np.int32), found + base))
    return in_order(parts)


def _counted(
    queries: Codes, blocks: Sequence[Codes], live: Live | None
) -> Iterator[tuple[int, NDArray[np.int32], int]]:
    """Yield, for batches of codes and each query: query id, differing bits (n,), and the position of the first code.

    Dead codes differ in more bits than there are.
    """
    size = 8 if queries.shape[1] % 8 == 0 else 4
    kind = np.dtype(f"u{size}")
    asked = as_words(queries, kind)
    for codes, alive, base in cut(pieces_of(blocks, live), _ROWS):
        words: NDArray[Any] = as_words(codes, kind)
        for query_id, query in enumerate(asked):
            differing = np.zeros(len(words), np.int32)
            for start in range(0, len(words), _TILE):
                tile, counts = words[start : start + _TILE], differing[start : start + _TILE]
                for column, word in zip(tile.T, query, strict=True):
                    counts += np.bitwise_count(column ^ word)
            if len(alive):
                differing[~alive] = np.iinfo(np.int32).max
            yield query_id, differing, base
