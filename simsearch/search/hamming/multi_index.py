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


class Chunk(NamedTuple):
    """Consecutive bits of a code: the first, and how many."""

    first: int
    bits: int


def chunk_counts(bits: int) -> range:
    """Return into how many chunks a code of that many bits may well be cut.

    Example:
        >>> chunk_counts(96)
        range(5, 13)
    """
    least = -(-bits // _WIDEST)
    return range(least, max(least, bits // _NARROWEST) + 1)


def cut(bits: int, count: int) -> list[Chunk]:
    """Return the chunks of a code, nearly equally long.

    Raises:
        InputError: Chunks would have no bit, or more than 22.
    """
    if not -(-bits // _WIDEST) <= count <= bits:
        raise InputError(f"{bits} bits cannot be cut into {count} chunks of 1 to {_WIDEST} bits; leave chunks out")
    bounds = [bits * i // count for i in range(count + 1)]
    return [Chunk(first, stop - first) for first, stop in itertools.pairwise(bounds)]


def radii_of(radius: int, chunks: int) -> list[int]:
    """Return each chunk's radius: of codes within the radius one chunk is within its own; -1 is none.

    Example:
        >>> radii_of(10, 4)
        [2, 2, 2, 1]
    """
    each, more = divmod(radius, chunks)
    return [each if i <= more else each - 1 for i in range(chunks)]


def values_near(bits: int, radius: int) -> int:
    """Return how many values of so many bits differ from one in at most `radius`.

    Example:
        >>> values_near(16, 1)
        17
    """
    return sum(math.comb(bits, i) for i in range(min(radius, bits) + 1))


def _usual_count(bits: int, codes: int) -> int:
    """Return the number of chunks whose tables have about as many values as there are codes."""
    wanted = min(_WIDEST, max(_NARROWEST, round(math.log2(max(2, codes)))))
    return max(1, round(bits / wanted), -(-bits // _WIDEST))


class MultiIndex:
    """Tables of the chunks of codes; memory is 4 bytes a code and chunk, and 4 a value."""

    def __init__(self, codes: Codes, *, chunks: int | None = None) -> None:
        """Build the tables.

        Args:
            codes: Packed codes (n, bytes), below 2^32 of them; kept, not copied, where their length is a multiple of 4.
            chunks: How many a code is cut into; by default so that a table has about as many values as there are codes.

        Raises:
            RowError, MetricError: The codes are not (n, bytes) uint8.
            InputError: Chunks would have no bit, or more than 22.
        """
        from simsearch.search.hamming.multi_index_kernels import values_of

        check_rows(codes, metric="hamming", what="code")
        self.bits = 8 * codes.shape[1]
        self._words = as_words(codes, np.uint32)
        self.chunks = cut(self.bits, _usual_count(self.bits, len(codes)) if chunks is None else chunks)
        self._order = np.empty((len(self.chunks), len(codes)), np.uint32)  # codes by their value in each chunk, rising
        starts = []
        for chunk, order in zip(self.chunks, self._order, strict=True):
            values = values_of(self._words, chunk.first, chunk.bits)
            order[:] = np.argsort(values, kind="stable")
            ends = np.cumsum(np.bincount(values, minlength=1 << chunk.bits), dtype=np.uint32)
            starts.append(np.concatenate([np.zeros(1, np.uint32), ends]))
        self._starts = np.concatenate(starts)  # where the codes of each value begin, chunk after chunk

    def __len__(self) -> int:
        return len(self._words)

    def radii(self, radius: int) -> list[int]:
        """Return each chunk's search radius: a code within the radius has a chunk within its own; -1 is none.

        Example:
            >>> MultiIndex(np.zeros((1, 8), np.uint8), chunks=4).radii(10)
            [2, 2, 2, 1]
        """
        return radii_of(min(radius, self.bits), len(self.chunks))

    def candidates(self, radius: int) -> float:
        """Return how many codes are looked at for a query on average, if the codes were random."""
        radii = zip(self.chunks, self.radii(radius), strict=True)
        return len(self) * sum(values_near(chunk.bits, near) / (1 << chunk.bits) for chunk, near in radii)

    def within(
        self, queries: Codes, *, radius: int, most: int | None = None, threads: int | None = None
    ) -> tuple[Hits, NDArray[np.int64]]:
        """Return all codes that differ from a query in at most `radius` bits, and the candidates of each query (q,).

        Args:
            queries: Packed codes (q, bytes).
            radius: Bits.
            most: Candidates of a query; none is looked for of one that has more.
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
        most = np.iinfo(np.int64).max if most is None else most
        parts = [slice(i, i + _SHARE) for i in range(0, len(queries), _SHARE)]
        found = list(pool(count).map(lambda part: self._part(words[part], part.start, radius, most), parts))
        looked_at = np.concatenate([np.empty(0, np.int64), *(result[1] for result in found)])
        return in_order([NO_HITS, *(result[0] for result in found)]), looked_at

    def _part(self, queries: NDArray[np.uint32], first: int, radius: int, most: int) -> tuple[Hits, NDArray[np.int64]]:
        from simsearch.search.hamming.multi_index_kernels import probe

        radii = np.array(self.radii(radius))
        tables = self._words, self._starts, self._order, np.array(self.chunks), radii
        looked_at = np.zeros(len(queries), np.int64)
        parts, room, start = [NO_HITS], _ROOM, 0
        while start < len(queries):
            query_ids, counts, positions = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.int64)
            found = query_ids, counts, positions, looked_at
            stop, length = probe(tables, queries, (start, radius, most), found)
            parts.append(Hits(query_ids[:length] + first, counts[:length], positions[:length]))
            room = room if stop > start else 2 * room  # one query has more hits than that
            start = stop
        return in_order(parts), looked_at
