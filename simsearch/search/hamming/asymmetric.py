"""Asymmetric distances of queries with margins to packed codes: a bit is weighted by the query's margin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import check_rows
from simsearch.errors import RowError
from simsearch.runtime.kernel_cache import pays_by_now
from simsearch.runtime.threads import pool, thread_count
from simsearch.search.arguments import checked_k, checked_limit
from simsearch.search.hamming.shards import Piece, cut, pieces_of, shares_of
from simsearch.search.results import Neighbours
from simsearch.search.scan.deletion_mask import check_live

Codes = NDArray[np.uint8]
Tables = NDArray[np.float64]

_CELLS = 1 << 22  # distances, or entries of tables, held at once
_ROWS = 1 << 20  # codes of a compiled pass
_WORTH = 1 << 29  # bytes of codes looked up that take as long as compiling does


def asymmetric(margins: NDArray[Any], codes: Codes) -> NDArray[np.float64]:
    """Return the share of a query's margins whose signs differ from a code's bits: (q, n), in [0, 1].

    With equal margins it is the Hamming distance; a query's own code is at distance exactly 0. It ranks better than
    bits against bits, at the same storage.

    Args:
        margins: Signed distances of the queries from each plane (q, bits), as `Quantiser.margins` gives them.
        codes: Packed codes (n, bytes), zeros behind the last bit.

    Raises:
        RowError: The codes are not as long as the margins, or a query's margins are all zero.
        MetricError: The codes are not uint8.

    Reference:
        Gordo, Perronnin, Gong, Lazebnik, "Asymmetric distances for binary embeddings", 2014.

    Example:
        >>> asymmetric(np.array([[3.0, -1.0]]), np.array([[0b11000000], [0b01000000]], np.uint8))
        array([[0.25, 1.  ]])
    """
    _check(margins, [codes])
    out = np.empty((len(margins), len(codes)))
    for part, tables in _table_groups(margins):
        for query_id, table in zip(out[part], tables, strict=True):
            query_id[:] = _looked_up(table, codes)
    return np.minimum(out, 1, out=out)


def nearest_by_margins(
    margins: NDArray[Any],
    blocks: Sequence[Codes],
    *,
    k: int,
    live: Sequence[NDArray[np.bool_] | None] | None = None,
    max_distance: float | None = None,
    threads: int | None = None,
) -> Neighbours:
    """Return the k codes nearest to each query by `asymmetric`, exactly, on the CPU.

    Args:
        margins: Of the queries (q, bits).
        blocks: Packed codes (n_i, bytes), often memory-mapped; their concatenation is searched.
        k: Codes a query.
        live: For each block which codes are live (n_i,), or None for all.
        max_distance: Codes farther than this are left out; by default none.
        threads: By default one a core.

    Returns:
        As `knn` with `rounded`: distances that are equal in float32 are ties, which go to the lower position.

    Raises:
        RowError, MetricError: As `asymmetric`.
        InputError: K, max_distance, threads or a mask is not usable.

    Example:
        >>> found = nearest_by_margins(np.array([[3.0, -1.0]]), [np.array([[192], [128], [64]], np.uint8)], k=2)
        >>> found.positions, found.distances
        (array([[1, 0]]), array([[0.  , 0.25]], dtype=float32))
    """
    k = checked_k(k)
    count = thread_count(threads)
    limit = np.nextafter(checked_limit(max_distance), np.inf)
    _check(margins, blocks)
    check_live(live, blocks)
    distances, positions = np.full((len(margins), k), np.inf), np.full((len(margins), k), -1, np.int64)
    pieces = pieces_of(blocks, live)
    for part, tables in _table_groups(margins):
        run = _compiled_pass if _pays(tables.size // 256 * sum(map(len, blocks))) else _plain_pass
        shares = shares_of(pieces, count)
        found = list(pool(count).map(lambda share, run=run, tables=tables: run(share, tables, k, limit), shares))
        best_distances, best_positions = (np.concatenate(column, axis=1) for column in zip(*found, strict=True))
        distances[part], positions[part] = _first(best_distances, best_positions, k)
    distances[positions >= 0] = np.minimum(distances[positions >= 0], 1)
    q = len(margins)
    return Neighbours(distances.astype(np.float32), positions, np.ones(q, bool), np.zeros(q, np.int64))


def expect() -> None:
    """Have the next search compile its passes."""
    _pays(_WORTH)


def _pays(codes: int) -> bool:
    return pays_by_now(codes, _WORTH, "codes by margins")


def _check(margins: NDArray[Any], blocks: Sequence[Codes]) -> None:
    check_rows(margins, metric=None, what="query")
    bits = margins.shape[1]
    for codes in blocks:
        check_rows(codes, metric="hamming", what="code")
        if codes.shape[1] != -(-bits // 8):
            raise RowError(f"codes of {codes.shape[1]} bytes do not have the {bits} bits of the queries")


def _table_groups(margins: NDArray[Any]) -> Iterator[tuple[slice, Tables]]:
    """Yield the tables of a batch of queries, in bounded memory."""
    step = max(1, _CELLS // (256 * -(-margins.shape[1] // 8)))
    for start in range(0, len(margins), step):
        part = slice(start, start + step)
        yield part, _tables(margins[part])


def _tables(margins: NDArray[Any]) -> Tables:
    """Return look-up tables (q, bytes, 256): what a code's byte adds to the distance; unused bits add 0."""
    q, bits = margins.shape
    weights = np.zeros((q, -(-bits // 8) * 8))
    weights[:, :bits] = np.abs(margins) / np.abs(margins).astype(np.float64).sum(axis=1, keepdims=True)
    ours = np.packbits(np.pad(margins > 0, ((0, 0), (0, -bits % 8))), axis=1)
    values = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    differing = weights.reshape(q, -1, 8) @ values.T.astype(np.float64)  # by the exclusive or of two bytes
    others = np.arange(256, dtype=np.uint8) ^ ours[:, :, None]
    return np.asarray(np.take_along_axis(differing, others.astype(np.intp), 2))


def _looked_up(table: Tables, codes: Codes) -> NDArray[np.float64]:
    """Return distances (n,) of codes by the table (bytes, 256) of one query, byte after byte."""
    out = np.zeros(len(codes))
    for entries, values in zip(table, np.ascontiguousarray(codes.T), strict=True):
        out += np.take(entries, values)
    return out


def _plain_pass(
    share: Sequence[Piece], tables: Tables, k: int, limit: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return distances and positions (q, k) of the nearest of a shard."""
    best_distances, best_positions = np.full((len(tables), k), np.inf), np.full((len(tables), k), -1, np.int64)
    for codes, live, base in cut(share, _CELLS):
        positions = base + np.arange(len(codes))
        for query_id, table in enumerate(tables):
            found = _looked_up(table, codes).astype(np.float32).astype(np.float64)
            if len(live):
                found[~live] = np.inf
            farthest = np.inf if len(found) <= k else np.partition(found, k - 1)[k - 1]  # ties with it stay
            counts = np.flatnonzero((found < limit) & (found <= farthest))
            both = (
                np.concatenate([best_distances[query_id], found[counts]]),
                np.concatenate([best_positions[query_id], positions[counts]]),
            )
            best_distances[query_id], best_positions[query_id] = (
                column[0] for column in _first(both[0][None], both[1][None], k)
            )
    return best_distances, best_positions


def _compiled_pass(
    share: Sequence[Piece], tables: Tables, k: int, limit: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    from simsearch.search.hamming.asymmetric_kernels import nearest

    best_distances, best_positions = np.full((len(tables), k), np.inf), np.full((len(tables), k), -1, np.int64)
    for rows in cut(share, _ROWS):
        nearest(rows, tables, limit, (best_distances, best_positions))
    return best_distances, best_positions


def _first(
    best_distances: NDArray[np.float64], best_positions: NDArray[np.int64], k: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the k nearest of each query, padded with infinity and -1."""
    order = np.lexsort((best_positions, best_distances), axis=-1)[:, :k]
    return np.take_along_axis(best_distances, order, 1), np.take_along_axis(best_positions, order, 1)
