"""Exact Hamming search on a CPU: the nearest codes, and all within a radius; compiled passes over hundreds at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import Rows, check_rows
from simsearch.runtime.kernel_cache import pays_by_now
from simsearch.runtime.threads import pool, thread_count
from simsearch.search.arguments import checked_k, checked_radius
from simsearch.search.hamming.shards import Piece, cut, pieces_of, shares_of
from simsearch.search.packing import as_words
from simsearch.search.scan.deletion_mask import check_live

Codes = NDArray[np.uint8]
Live = Sequence[NDArray[np.bool_] | None]

_QUERIES = 512  # compared with a group of codes while its table is in the L1 cache
SLICED = 4  # queries from which on slicing the codes pays
_ROWS = 1 << 20  # codes converted to words at once
_SPARE = 16  # candidates kept beyond k, at least, before the nearest k are selected
_HITS = 1 << 18  # hits of one pass
_SMALL = 1 << 22  # words of pairs, a few milliseconds' work, which is not split among threads
FEW, MANY, WITHIN = "nearest codes of few", "nearest codes", "codes within"
_WORTH = {FEW: 1 << 22, MANY: 1 << 30, WITHIN: 1 << 27}  # pairs that take other ways as long as compiling does


class NearestCodes(NamedTuple):
    """The nearest codes of each query, nearest first, ties to the lower position.

    Attributes:
        counts: Differing bits, int32 (q, k), padded with -1.
        positions: Int64 (q, k) into the concatenation of the blocks, padded with -1.
    """

    counts: NDArray[np.int32]
    positions: NDArray[np.int64]


class Hits(NamedTuple):
    """The codes within a radius, by query, nearest first, ties to the lower position.

    Attributes:
        query_ids: Int64 (m,).
        counts: Differing bits, int32 (m,).
        positions: Int64 (m,) into the concatenation of the blocks.
    """

    query_ids: NDArray[np.int64]
    counts: NDArray[np.int32]
    positions: NDArray[np.int64]


def nearest_codes(
    queries: Codes,
    blocks: Sequence[Codes],
    *,
    k: int,
    live: Live | None = None,
    radius: int | None = None,
    threads: int | None = None,
    sliced: bool | None = None,
) -> NearestCodes:
    """Return the k nearest codes of each query.

    Args:
        queries: Packed codes (q, bytes).
        blocks: Packed codes (n_i, bytes), often memory-mapped; their concatenation is searched.
        k: Codes a query.
        live: For each block which codes are live (n_i,), or None for all.
        radius: Codes that differ in more bits are left out; by default none.
        threads: By default one a core, for small work one.
        sliced: Slice the codes, which takes longer to compile, and pays for many queries; by default from four on.

    Raises:
        RowError: The codes have different lengths.
        MetricError: They are not uint8.
        InputError: K, radius, threads or a mask is not usable.

    Example:
        >>> found = nearest_codes(np.array([[0b1100]], np.uint8), [np.array([[0], [0b1000]], np.uint8)], k=3)
        >>> found.counts, found.positions
        (array([[ 1,  2, -1]], dtype=int32), array([[ 1,  0, -1]]))
    """
    k = checked_k(k)
    jobs = _Jobs(queries, blocks, live, radius, threads)
    counts, positions = np.full((len(queries), k), -1, np.int32), np.full((len(queries), k), -1, np.int64)

    def run(part: slice, pieces: Sequence[Piece]) -> NearestCodes:
        limits = jobs.limits(part)
        few = len(limits) < SLICED if sliced is None else not sliced
        asked = _long(jobs.queries(part)) if few else jobs.settings(part)
        kernel = jobs.kernels.nearest_of_few if few else jobs.kernels.nearest
        room = k + max(k, _SPARE)
        found = np.full((len(limits), room), -1, np.int32), np.full((len(limits), room), -1, np.int64)
        filled = np.zeros(len(limits), np.int64)
        for codes, alive, base in _words(pieces):
            kernel((_long(codes) if few else codes, alive, base), asked, limits, k, (*found, filled))
        beyond = np.arange(room) >= filled[:, None]
        return _best(NearestCodes(np.where(beyond, -1, found[0]), np.where(beyond, -1, found[1])), k)

    for part, results in jobs.map(run):
        together = (np.concatenate(column, axis=1) for column in zip(*results, strict=True))
        best = _best(NearestCodes(*together), k)
        counts[part, : best.counts.shape[1]], positions[part, : best.counts.shape[1]] = best
    return NearestCodes(counts, positions)


def codes_within(
    queries: Codes,
    blocks: Sequence[Codes],
    *,
    radius: int,
    live: Live | None = None,
    threads: int | None = None,
) -> Hits:
    """Return all codes that differ from a query in at most `radius` bits; arguments and errors as `nearest_codes`.

    Memory grows with the number of codes found.

    Example:
        >>> found = codes_within(np.array([[0b1100]], np.uint8), [np.array([[0], [0b1000]], np.uint8)], radius=1)
        >>> found.query_ids, found.counts, found.positions
        (array([0]), array([1], dtype=int32), array([1]))
    """
    jobs = _Jobs(queries, blocks, live, radius, threads)

    def run(part: slice, pieces: Sequence[Piece]) -> Hits:
        settings, limits = jobs.settings(part), jobs.limits(part)
        room = max(_HITS, 2 * len(settings) * jobs.group)
        query_ids, counts, positions = np.empty(room, np.int64), np.empty(room, np.int32), np.empty(room, np.int64)
        parts = [NO_HITS]
        for rows in _words(pieces):
            start = 0
            while start < len(rows[0]):
                start, length = jobs.kernels.within(rows, start, settings, limits, (query_ids, counts, positions))
                parts.append(Hits(query_ids[:length].copy(), counts[:length].copy(), positions[:length].copy()))
        found = _joined(parts)
        return Hits(found.query_ids + part.start, found.counts, found.positions)

    parts = [NO_HITS]
    for _, results in jobs.map(run):
        parts.append(in_order(results))
    return _joined(parts)


NO_HITS = Hits(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int64))


class _Jobs:
    """Queries and codes, sharded for threads: by queries where there are many, else by codes."""

    def __init__(
        self, queries: Codes, blocks: Sequence[Codes], live: Live | None, radius: int | None, threads: int | None
    ) -> None:
        from simsearch.search.hamming.bit_slicing import GROUP, counter_planes, settings_of
        from simsearch.search.hamming.kernels import kernels

        width = _checked(queries, blocks, live)
        largest = 8 * width if radius is None else checked_radius(radius, 8 * width)
        words = -(-width // 4)
        small = threads is None and len(queries) * words * sum(map(len, blocks)) <= _SMALL
        self._threads = thread_count(1 if small else threads)
        self._queries = queries
        self.kernels = kernels(words)
        self.group = GROUP
        self._settings_of = settings_of
        self._counters = counter_planes(32 * words)
        self._limit = largest + 1
        self._pieces = pieces_of(blocks, live)

    def queries(self, part: slice) -> NDArray[np.uint32]:
        """Return some queries as words (q, m)."""
        return as_words(self._queries[part], np.uint32)

    def settings(self, part: slice) -> NDArray[np.uint32]:
        """Return the table indices of some queries, for the compiled passes."""
        return self._settings_of(self.queries(part))

    def limits(self, part: slice) -> NDArray[np.uint64]:
        """Return all ones or zeros for each bit of the count that a code must be below."""
        bits = (self._limit >> np.arange(self._counters)) & 1
        return np.tile(np.uint64(0) - bits.astype(np.uint64), (len(range(*part.indices(len(self._queries)))), 1))

    def map(self, run: Callable[[slice, Sequence[Piece]], Any]) -> Iterator[tuple[slice, list[Any]]]:
        """Yield the results of `run` for each part of the queries, from one or several shards of the codes."""
        parts = [slice(i, i + _QUERIES) for i in range(0, len(self._queries), _QUERIES)]
        shares = [self._pieces] if len(parts) >= self._threads else shares_of(self._pieces, self._threads)
        submit = pool(self._threads).submit
        waiting = [(part, [submit(run, part, share) for share in shares]) for part in parts]
        try:
            for part, futures in waiting:
                yield part, [future.result() for future in futures]
        finally:
            for future in itertools.chain.from_iterable(futures for _, futures in waiting):
                future.cancel()  # pending ones, where one failed


def expect(width: int) -> None:
    """Have the next searches of codes of that many bytes compile their passes."""
    for compiled, worth in _WORTH.items():
        pays(compiled, worth, width)


def pays(compiled: str, pairs: int, width: int) -> bool:
    """Return whether so many more pairs of codes of that width make a compiled pass (FEW, MANY, WITHIN) worth it."""
    return pays_by_now(pairs, _WORTH[compiled], compiled, -(-width // 4))


def _long(words: NDArray[np.uint32]) -> NDArray[Any]:
    """Return words of 64 bits where their number is even."""
    return words if words.shape[1] % 2 else words.view(np.uint64)


def _words(pieces: Sequence[Piece]) -> Iterator[tuple[NDArray[np.uint32], NDArray[np.bool_], int]]:
    """Yield the pieces as words, in batches of codes."""
    return ((as_words(codes, np.uint32), alive, base) for codes, alive, base in cut(pieces, _ROWS))


def in_order(parts: Sequence[Hits]) -> Hits:
    """Return hits together, sorted by query, count and position."""
    found = _joined(parts)
    order = np.lexsort((found.positions, found.counts, found.query_ids))
    return Hits(found.query_ids[order], found.counts[order], found.positions[order])


def _joined(parts: Sequence[Hits]) -> Hits:
    columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Hits(*columns)


def _best(found: NearestCodes, k: int) -> NearestCodes:
    """Return the k nearest of each query, sorted, ties to the lower position, padded with -1."""
    keys = np.where(found.positions < 0, np.iinfo(np.int32).max, found.counts)
    order = np.argsort(keys, axis=1, kind="stable")[:, :k]
    return NearestCodes(np.take_along_axis(found.counts, order, 1), np.take_along_axis(found.positions, order, 1))


def _checked(queries: Rows, blocks: Sequence[Rows], live: Live | None) -> int:
    """Return the bytes of a code."""
    check_rows(queries, metric="hamming", what="query")
    width = int(queries.shape[1])
    for i, block in enumerate(blocks):
        check_rows(block, dimension=width, metric="hamming", what=f"code of block {i}")
    check_live(live, blocks)
    return width
