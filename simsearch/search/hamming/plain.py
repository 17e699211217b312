"""Exact Hamming search by numpy, code by code: for work that is done before a compiler is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.search.hamming.search import NO_HITS, Codes, Hits, Live, Nearest, in_order
from simsearch.search.hamming.shards import cut, pieces_of
from simsearch.search.packing import as_words

_ROWS = 1 << 20  # codes whose counts are held at once
_TILE = 1 << 14  # codes that stay in a cache while their words are counted


def nearest_plainly(queries: Codes, blocks: Sequence[Codes], *, k: int, live: Live | None, radius: int) -> Nearest:
    """As `hamming.nearest_codes`, of arguments that are checked."""
    counts, positions = np.full((len(queries), k), -1, np.int32), np.full((len(queries), k), -1, np.int64)
    filled = np.zeros(len(queries), np.int64)
    for line, near, base in _counted(queries, blocks, live):
        old = slice(0, filled[line])
        most = min(radius, int(counts[line, -1]) - 1) if filled[line] == k else radius  # of equals the first stay
        if k < len(near):
            most = min(most, int(np.partition(near, k - 1)[k - 1]))
        new = np.flatnonzero(near <= most)
        both = np.concatenate([counts[line, old], near[new]]), np.concatenate([positions[line, old], new + base])
        order = np.argsort(both[0], kind="stable")[:k]
        filled[line] = len(order)
        counts[line, : len(order)], positions[line, : len(order)] = both[0][order], both[1][order]
    return Nearest(counts, positions)


def within_plainly(queries: Codes, blocks: Sequence[Codes], *, radius: int, live: Live | None) -> Hits:
    """As `hamming.codes_within`, of arguments that are checked."""
    parts = [NO_HITS]
    for line, near, base in _counted(queries, blocks, live):
        found = np.flatnonzero(near <= radius)
        parts.append(Hits(np.full(len(found), line), near[found].astype(np.int32), found + base))
    return in_order(parts)


def _counted(
    queries: Codes, blocks: Sequence[Codes], live: Live | None
) -> Iterator[tuple[int, NDArray[np.int32], int]]:
    """For some codes at a time and each query: its number, its differing bits (n,), and the position of the first.

    Dead codes differ in more bits than there are.
    """
    size = 8 if queries.shape[1] % 8 == 0 else 4
    kind = np.dtype(f"u{size}")
    asked = as_words(queries, kind)
    for codes, alive, base in cut(pieces_of(blocks, live), _ROWS):
        words: NDArray[Any] = as_words(codes, kind)
        for line, query in enumerate(asked):
            near = np.zeros(len(words), np.int32)
            for start in range(0, len(words), _TILE):
                tile, counts = words[start : start + _TILE], near[start : start + _TILE]
                for column, word in zip(tile.T, query, strict=True):
                    counts += np.bitwise_count(column ^ word)
            if len(alive):
                near[~alive] = np.iinfo(np.int32).max
            yield line, near, base
