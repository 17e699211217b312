"""A second pass over all rows: every candidate that the scores leave open is measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from simsearch.search.arguments import SearchRequest
from simsearch.search.metrics.base import Doubles, Prepared, Score
from simsearch.search.metrics.feature_maps import FOUR, Mapped
from simsearch.search.metrics.js import JensenShannonScore
from simsearch.search.refine.equal_rows import SEVERAL, Repeats, alike
from simsearch.search.refine.pairs import Measured, Official, PairDistances, Positions, official, settle
from simsearch.search.scan.blocks import to_numpy

if TYPE_CHECKING:
    from simsearch.search.scan.blocks import Chunk, Scan

_FEW = 12  # queries, up to which js scored directly beats mapping every row into four features
_MANY = 1 << 20  # measured rows, above which they are reduced in between


class MeasuredRows(NamedTuple):
    """Measured rows of several queries, one after the other (c,)."""

    query_ids: NDArray[np.int64]
    positions: Positions
    distances: Doubles
    errors: Doubles

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> MeasuredRows:
        """Return the selected rows."""
        return MeasuredRows(self.query_ids[which], self.positions[which], self.distances[which], self.errors[which])

    def join(self, other: MeasuredRows) -> MeasuredRows:
        """Return the rows of both."""
        return MeasuredRows(
            np.concatenate([self.query_ids, other.query_ids]),
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.distances, other.distances]),
            np.concatenate([self.errors, other.errors]),
        )


NOTHING = MeasuredRows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


def widen(
    scan: Scan, queries: torch.Tensor, within: Doubles, request: SearchRequest, known: MeasuredRows
) -> tuple[Doubles, Positions, NDArray[np.int64]]:
    """Return the k nearest rows of queries that the first pass left open.

    Every chunk tightens the bound for the next: a row counts only while it is no farther than the k-th best.

    Args:
        scan: Over the rows.
        queries: (q, d), on the device.
        within: (q,), distances that k rows do not exceed.
        request: How many, and how far they may be.
        known: Rows measured already.

    Returns:
        Distances and positions as `settle` gives them, and how many rows were measured (q,).
    """
    limits = np.minimum(within, request.limit)
    scan = replace(scan, score=_second_score(scan, queries, limits))
    pairs, exact = PairDistances(scan, queries), official(scan, queries)
    found, counts = known, np.zeros(len(queries), np.int64)
    for more in hits(scan, queries, pairs, limits, known, limit=request.k):
        counts += np.bincount(more.query_ids, minlength=len(counts))
        found, highest = nearest_found(found.join(more), len(queries), request)
        np.minimum(limits, highest, out=limits)  # what follows must be nearer
        if len(found.query_ids) > _MANY + len(queries) * request.k:
            found = _shortened(found, len(queries), exact, pairs, request)
    return *nearest_settled(found, len(queries), exact, request), counts


def hits(
    scan: Scan,
    queries: torch.Tensor,
    pairs: PairDistances,
    limits: Doubles,
    known: MeasuredRows = NOTHING,
    *,
    limit: int | None = None,
) -> Iterator[MeasuredRows]:
    """Yield, chunk by chunk, measured rows whose score may be within the limit of the query (q,).

    The limits may be lowered between chunks. What is known is not measured again, nor a row that is stored repeatedly;
    of one that is, no more than `limit` need be yielded.
    """
    prepared = scan.score.prepare(queries)
    repeats = defaultdict[int, Repeats](lambda: Repeats(limit or scan.rows))
    seen = known.query_ids * scan.rows + known.positions
    for chunk in scan.chunks():
        for start, within in _open(scan, chunk, prepared, limits):
            query_ids, columns = within.nonzero().cpu().numpy().T
            if limit is not None and len(columns) > SEVERAL * len(within):
                some, members = np.unique(columns, return_inverse=True)
                needed = ~repeats[start].beyond(to_numpy(chunk.rows[torch.from_numpy(some).to(scan.device)]))[members]
                query_ids, columns = query_ids[needed], columns[needed]
            query_ids, positions = query_ids + start, columns + chunk.start
            new = ~np.isin(query_ids * scan.rows + positions, seen)
            query_ids, positions = query_ids[new], positions[new]
            if len(query_ids):
                yield MeasuredRows(query_ids, positions, *_measured(scan, pairs, query_ids, positions))


def _measured(scan: Scan, pairs: PairDistances, query_ids: NDArray[np.int64], positions: Positions) -> Measured:
    """Return the distances by `pairs`, each query and row measured once where rows are repeated."""
    if len(query_ids) <= SEVERAL * (1 + query_ids[-1] - query_ids[0]):
        return pairs(query_ids, positions)
    some, members = np.unique(positions, return_inverse=True)
    first = alike(to_numpy(scan.gather(some)))[members]
    once, places = np.unique(query_ids * len(some) + first, return_inverse=True)
    measured = pairs(once // len(some), some[once % len(some)])
    return Measured(measured.distances[places], measured.errors[places])


def _open(scan: Scan, chunk: Chunk, queries: Prepared, limits: Doubles) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield, for batches of queries, the id of the first and which rows of a chunk can be within their limits."""
    rows, dead = scan.prepare(chunk)
    with np.errstate(over="ignore"):
        bound = (scan.score.of(limits) + scan.error(queries, rows, dead)).astype(np.float32)
    bounds = torch.from_numpy(np.nextafter(bound, np.float32(np.inf))).to(scan.device)
    for part, scores in scan.scores(queries, rows, dead):
        within = scores <= bounds[part, None]
        if dead is not None:
            within[:, dead] = False
        yield part.start, within


def flat(measured: Measured, positions: Positions) -> MeasuredRows:
    """Return the measured rows of a matrix (q, m)."""
    query_ids, columns = np.nonzero(measured.distances < np.inf)
    at = query_ids, columns
    return MeasuredRows(query_ids, positions[at], measured.distances[at], measured.errors[at])


def settled(
    found: MeasuredRows, queries: int, official: Official, request: SearchRequest
) -> Iterator[tuple[NDArray[np.intp], Doubles, Positions]]:
    """Yield query ids and the results of `settle` for batches of queries.

    Those with about as many rows go together: no matrix has more than twice as many places as it needs.

    Args:
        found: Measured rows.
        queries: How many there are.
        official: The distances of `simsearch.distance`.
        request: How many, and how far they may be.
    """
    if queries == 1:
        measured = Measured(found.distances[None], found.errors[None])
        yield np.zeros(1, np.intp), *settle(measured, found.positions[None], official, request)
        return
    sizes = np.frexp(np.bincount(found.query_ids, minlength=queries))[1]  # of a query with 2^(size - 1) rows or more
    for size in sorted(set(sizes.tolist())):
        query_ids = np.flatnonzero(sizes == size)
        some = found.take(sizes[found.query_ids] == size)
        measured, positions = matrix(
            some._replace(query_ids=np.searchsorted(query_ids, some.query_ids)), len(query_ids)
        )
        of_some = partial(_renumbered, official, query_ids)
        yield query_ids, *settle(measured, positions, of_some, request)


def nearest_settled(
    found: MeasuredRows, queries: int, official: Official, request: SearchRequest
) -> tuple[Doubles, Positions]:
    """Return the results of `settle` for all queries (q, k), padded with infinity and -1."""
    distances, positions = np.full((queries, request.k), np.inf), np.full((queries, request.k), -1, np.int64)
    for query_ids, *best in settled(found, queries, official, request):
        width = best[0].shape[1]
        distances[query_ids, :width], positions[query_ids, :width] = best
    return distances, positions


def matrix(found: MeasuredRows, queries: int) -> tuple[Measured, Positions]:
    """Return measured rows as a matrix (queries, width), padded with infinite distances."""
    order = np.argsort(found.query_ids, kind="stable")
    found = found.take(order)
    ranks = _ranks(found.query_ids, queries)
    shape = (queries, int(ranks.max(initial=0)) + 1)
    measured = Measured(np.full(shape, np.inf), np.zeros(shape))
    positions = np.full(shape, -1, np.int64)
    measured.distances[found.query_ids, ranks] = found.distances
    measured.errors[found.query_ids, ranks] = found.errors
    positions[found.query_ids, ranks] = found.positions
    return measured, positions


def _second_score(scan: Scan, queries: torch.Tensor, limits: Doubles) -> Score:
    """Return the scan's score, or a tighter one where a map leaves so many rows open that it costs less.

    To measure a row takes about as long as to map a row into four features, and a hundred times as long as to score
    one. The rows of the first chunk stand for all.
    """
    if not isinstance(scan.score, Mapped):
        return scan.score
    chunk = next(scan.chunks())
    left = sum(int(within.sum()) for _, within in _open(scan, chunk, scan.score.prepare(queries), limits))
    if left <= (1 + len(queries) / 100) * len(chunk.rows):
        return scan.score
    return JensenShannonScore() if len(queries) <= _FEW else Mapped(FOUR, half=scan.score.half)


def nearest_found(found: MeasuredRows, queries: int, request: SearchRequest) -> tuple[MeasuredRows, Doubles]:
    """Return the rows that can be among the k nearest of their query, and an upper bound (q,) of the k-th distance."""
    high = found.distances + found.errors
    order = np.lexsort((high, found.query_ids))
    ends = np.searchsorted(found.query_ids[order], np.arange(queries + 1))
    kth = ends[:-1] + request.k - 1
    there = kth < ends[1:]
    highest = np.full(queries, np.inf)
    highest[there] = request.no_farther(high[order[kth[there]]])
    return found.take(found.distances - found.errors <= highest[found.query_ids]), highest


def _ranks(query_ids: NDArray[np.int64], queries: int) -> NDArray[np.int64]:
    """Return the rank of each within its query, for sorted query ids."""
    starts = np.searchsorted(query_ids, np.arange(queries))
    ranks: NDArray[np.int64] = np.arange(len(query_ids)) - starts[query_ids]
    return ranks


def _shortened(
    found: MeasuredRows, queries: int, official: Official, pairs: PairDistances, request: SearchRequest
) -> MeasuredRows:
    """Return the k nearest of each query."""
    short = NOTHING
    for some, _, positions in settled(found, queries, official, request):
        query_ids, columns = np.nonzero(positions >= 0)
        nearest = some[query_ids], positions[query_ids, columns]
        short = short.join(MeasuredRows(*nearest, *pairs(*nearest)))
    return short


def _renumbered(official: Official, query_ids: NDArray[np.intp], query_id: int, positions: Positions) -> Doubles:
    return official(int(query_ids[query_id]), positions)
