"""Exact search of codes within a radius by multi-index hashing: candidates are codes of which a part nearly agrees.

A code is cut into chunks, each with a table of the codes that have a value there. Of two codes that differ in at most r
bits, one of m chunks differs in at most r // m (the pigeonhole principle): the values that near are looked up, and the
codes found are counted in full. That pays for small radii, where it visits a small share of the codes; for large
ones `simsearch.search.hamming.search` is faster.

Reference:
    Norouzi, Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", 2014.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import check_rows
from simsearch.errors import InputError
from simsearch.runtime.threads import pool, thread_count
from simsearch.search.arguments import checked_radius
from simsearch.search.hamming.search import NO_HITS, Codes, Hits, in_order
from simsearch.search.packing import as_words

_WIDEST = 22  # bits of a chunk: a table of 4 million values
_NARROWEST = 8
_ROOM = 1 << 16  # hits of one pass
_SHARE = 512  # queries of a thread's batch
_IN_ORDER = 0.03  # of the time of a value, which waits for memory, that a candidate takes beside the one before


class _Chunk(NamedTuple):
    """Consecutive bits of a code: the first, and how many."""

    first: int
    bits: int


def looks(codes: int, bits: int, radius: int) -> float:
    """Return the expected values and candidates that a query visits in the tables, for independent bits.

    Raises:
        InputError: Such codes cannot be cut into chunks.

    Example:
        >>> looks(1_000_000, 64, 2) < 10 < 1000 < looks(1_000_000, 64, 10)
        True
    """
    return _looks(_cut(bits, codes), codes, radius, 1.0)


def _looks(chunks: list[_Chunk], codes: int, radius: int, candidate: float) -> float:
    """Return the values that a query visits, and the candidates times what one of them costs by a value."""
    values = [
        sum(math.comb(chunk.bits, i) for i in range(min(r, chunk.bits) + 1))
        for chunk, r in zip(chunks, _radii(radius, len(chunks)), strict=True)
    ]
    return sum(each * (1 + candidate * codes / (1 << chunk.bits)) for each, chunk in zip(values, chunks, strict=True))


def chunks_for(codes: int, bits: int, radius: int) -> int:
    """Return the number of chunks with which ordered tables answer a radius soonest.

    Example:
        >>> chunks_for(1_000_000, 96, 10), chunks_for(1_000_000, 96, 4)
        (6, 5)
    """
    counts = range(-(-bits // _WIDEST), max(-(-bits // _WIDEST), bits // _NARROWEST) + 1)
    return min(counts, key=lambda count: _looks(_cut(bits, codes, count), codes, radius, _IN_ORDER))


def _cut(bits: int, codes: int, chunks: int | None = None) -> list[_Chunk]:
    wanted = min(_WIDEST, max(_NARROWEST, round(math.log2(max(2, codes)))))
    count = max(1, round(bits / wanted), -(-bits // _WIDEST)) if chunks is None else chunks
    if not -(-bits // _WIDEST) <= count <= bits:
        raise InputError(f"{bits} bits cannot be cut into {count} chunks of 1 to {_WIDEST} bits; leave chunks out")
    bounds = [bits * i // count for i in range(count + 1)]
    return [_Chunk(first, stop - first) for first, stop in itertools.pairwise(bounds)]


def _radii(radius: int, chunks: int) -> list[int]:
    each, more = divmod(radius, chunks)
    return [each if i <= more else each - 1 for i in range(chunks)]


class MultiIndex:
    """Tables of the chunks of codes; memory is 4 bytes a code and chunk, and 8 a value."""

    def __init__(self, codes: Codes, *, chunks: int | None = None, ordered: bool = False) -> None:
        """Build the tables.

        Args:
            codes: Packed codes (n, bytes), below 2^32 of them; kept, not copied, where their length is a multiple of 4.
            chunks: How many a code is cut into; by default so that a table has about as many values as there are codes.
            ordered: Keep the codes once more in the order of each table, so that candidates lie beside each other: many
                times faster where values have many codes, for as many bytes more a chunk as a code has, and 4.

        Raises:
            RowError, MetricError: The codes are not (n, bytes) uint8.
            InputError: Chunks would have no bit, or more than 22.
        """
        from simsearch.search.hamming.multi_index_kernels import values_of

        check_rows(codes, metric="hamming", what="code")
        self.bits = 8 * codes.shape[1]
        self._words = as_words(codes, np.uint32)
        self.chunks = _cut(self.bits, len(codes), chunks)
        count = len(self.chunks)
        self._order = np.empty((count, len(codes)), np.uint32)  # codes by their value in each chunk, rising
        self._ordered = np.empty((count, len(codes) if ordered else 0, 1 + self._words.shape[1]), np.uint32)
        starts = []
        for chunk, order, words in zip(self.chunks, self._order, self._ordered, strict=True):
            values = values_of(self._words, chunk.first, chunk.bits)
            order[:] = np.argsort(values, kind="stable")
            words[:, 0] = order[: len(words)]  # position and code side by side, so that one wait brings both
            words[:, 1:] = self._words[words[:, 0]]
            starts.append(np.concatenate([[0], np.cumsum(np.bincount(values, minlength=1 << chunk.bits))]))
        self._starts = np.concatenate(starts)  # where the codes of each value begin, chunk after chunk

    def __len__(self) -> int:
        return len(self._words)

    def radii(self, radius: int) -> list[int]:
        """Return each chunk's search radius: a code within the radius has a chunk within its own; -1 is none.

        Example:
            >>> MultiIndex(np.zeros((1, 8), np.uint8), chunks=4).radii(10)
            [2, 2, 2, 1]
        """
        return _radii(min(radius, self.bits), len(self.chunks))

    def within(
        self,
        queries: Codes,
        *,
        radius: int,
        after: NDArray[np.int64] | None = None,
        threads: int | None = None,
    ) -> tuple[Hits, NDArray[np.int64]]:
        """Return all codes that differ from a query in at most `radius` bits, and the candidates of each query (q,).

        Args:
            queries: Packed codes (q, bytes).
            radius: Bits.
            after: Find only codes behind this position, one for each query; by default all.
            threads: By default one a core.

        Raises:
            RowError, MetricError: The queries are no codes of this length.
            InputError: Radius is no whole number or below 0, or threads below 1.

        Example:
            >>> index = MultiIndex(np.array([[0b0000], [0b1000], [0b1111]], np.uint8))
            >>> found, looked_at = index.within(np.array([[0b1100]], np.uint8), radius=1)
            >>> found.positions, found.counts
            (array([1]), array([1], dtype=int32))
        """
        check_rows(queries, dimension=self.bits // 8, metric="hamming", what="query")
        count = thread_count(threads)
        radius = checked_radius(radius, self.bits)
        words = as_words(queries, np.uint32)
        starts = np.full(len(queries), -1) if after is None else after
        parts = [slice(i, i + _SHARE) for i in range(0, len(queries), _SHARE)]
        found = list(pool(count).map(lambda part: self._part(words[part], starts[part], part.start, radius), parts))
        looked_at = np.concatenate([np.empty(0, np.int64), *(result[1] for result in found)])
        return in_order([NO_HITS, *(result[0] for result in found)]), looked_at

    def _part(
        self, queries: NDArray[np.uint32], after: NDArray[np.int64], first: int, radius: int
    ) -> tuple[Hits, NDArray[np.int64]]:
        from simsearch.search.hamming.multi_index_kernels import probe

        radii = np.array(self.radii(radius))
        tables = self._words, self._ordered, self._starts, self._order, np.array(self.chunks), radii
        looked_at = np.zeros(len(queries), np.int64)
        parts, room, start = [NO_HITS], _ROOM, 0
        while start < len(queries):
            query_ids, counts, positions = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.int64)
            found = query_ids, counts, positions, looked_at
            stop, length = probe(tables, queries, after, (start, radius), found)
            parts.append(Hits(query_ids[:length] + first, counts[:length], positions[:length]))
            room = room if stop > start else 2 * room  # one query has more hits than that
            start = stop
        return in_order(parts), looked_at
