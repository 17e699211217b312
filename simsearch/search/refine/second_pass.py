"""A second look at all rows: everything that the scores leave open is measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from simsearch.search.arguments import Wanted
from simsearch.search.metrics.base import Doubles, Prepared, Score
from simsearch.search.metrics.feature_maps import FOUR, Mapped
from simsearch.search.metrics.js import JensenShannonScore
from simsearch.search.refine.equal_rows import SEVERAL, Repeats, alike
from simsearch.search.refine.pairs import Measured, Official, Pairs, Positions, official, settle
from simsearch.search.scan.blocks import to_numpy

if TYPE_CHECKING:
    from simsearch.search.scan.blocks import Chunk, Scan

_FEW = 12  # queries, up to which js scored directly beats mapping every row into four features
_MANY = 1 << 20  # found rows, above which they are settled in between


class Found(NamedTuple):
    """Measured rows of several queries, one after the other (c,)."""

    lines: NDArray[np.int64]
    positions: Positions
    distances: Doubles
    errors: Doubles

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Found:
        """Some of them."""
        return Found(self.lines[which], self.positions[which], self.distances[which], self.errors[which])

    def join(self, other: Found) -> Found:
        """Both."""
        return Found(
            np.concatenate([self.lines, other.lines]),
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.distances, other.distances]),
            np.concatenate([self.errors, other.errors]),
        )


NOTHING = Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


def widen(
    scan: Scan, queries: torch.Tensor, within: Doubles, wanted: Wanted, known: Found
) -> tuple[Doubles, Positions, NDArray[np.int64]]:
    """The k nearest rows of queries that a first look left open.

    Every chunk tightens what is asked of the next: a row counts only while it is no farther than the k-th best.

    Args:
        scan: Over the rows.
        queries: (q, d), on the device.
        within: (q,), distances that k rows do not exceed.
        wanted: How many, and how far they may be.
        known: What is measured already.

    Returns:
        Distances and positions as `settle` gives them, and how many rows were measured (q,).
    """
    limits = np.minimum(within, wanted.limit)
    scan = replace(scan, score=_second_score(scan, queries, limits))
    pairs, exact = Pairs(scan, queries), official(scan, queries)
    found, counts = known, np.zeros(len(queries), np.int64)
    for more in hits(scan, queries, pairs, limits, known, most=wanted.k):
        counts += np.bincount(more.lines, minlength=len(counts))
        found, highest = nearest_found(found.join(more), len(queries), wanted)
        np.minimum(limits, highest, out=limits)  # what follows must be nearer
        if len(found.lines) > _MANY + len(queries) * wanted.k:
            found = _shortened(found, len(queries), exact, pairs, wanted)
    return *nearest_settled(found, len(queries), exact, wanted), counts


def hits(
    scan: Scan,
    queries: torch.Tensor,
    pairs: Pairs,
    limits: Doubles,
    known: Found = NOTHING,
    *,
    most: int | None = None,
) -> Iterator[Found]:
    """Measured rows whose score leaves it open whether they are within the limit of the query (q,), chunk by chunk.

    The limits may be lowered between chunks. What is known is not measured again, nor a row that is stored repeatedly;
    of one that is, no more than `most` need be given.
    """
    prepared = scan.score.prepare(queries)
    repeats = defaultdict[int, Repeats](lambda: Repeats(most or scan.rows))
    seen = known.lines * scan.rows + known.positions
    for chunk in scan.chunks():
        for start, within in _open(scan, chunk, prepared, limits):
            lines, columns = within.nonzero().cpu().numpy().T
            if most is not None and len(columns) > SEVERAL * len(within):
                some, members = np.unique(columns, return_inverse=True)
                needed = ~repeats[start].beyond(to_numpy(chunk.rows[torch.from_numpy(some).to(scan.device)]))[members]
                lines, columns = lines[needed], columns[needed]
            lines, positions = lines + start, columns + chunk.start
            new = ~np.isin(lines * scan.rows + positions, seen)
            lines, positions = lines[new], positions[new]
            if len(lines):
                yield Found(lines, positions, *_measured(scan, pairs, lines, positions))


def _measured(scan: Scan, pairs: Pairs, lines: NDArray[np.int64], positions: Positions) -> Measured:
    """What `pairs` gives, each query and row measured once where rows are repeated."""
    if len(lines) <= SEVERAL * (1 + lines[-1] - lines[0]):
        return pairs(lines, positions)
    some, members = np.unique(positions, return_inverse=True)
    first = alike(to_numpy(scan.gather(some)))[members]
    once, places = np.unique(lines * len(some) + first, return_inverse=True)
    measured = pairs(once // len(some), some[once % len(some)])
    return Measured(measured.distances[places], measured.errors[places])


def _open(scan: Scan, chunk: Chunk, queries: Prepared, limits: Doubles) -> Iterator[tuple[int, torch.Tensor]]:
    """For successive queries the number of the first, and which rows of a chunk can be within their limits."""
    rows, dead = scan.prepare(chunk)
    with np.errstate(over="ignore"):
        bound = (scan.score.of(limits) + scan.error(queries, rows, dead)).astype(np.float32)
    bounds = torch.from_numpy(np.nextafter(bound, np.float32(np.inf))).to(scan.device)
    for part, scores in scan.scores(queries, rows, dead):
        within = scores <= bounds[part, None]
        if dead is not None:
            within[:, dead] = False
        yield part.start, within


def flat(measured: Measured, positions: Positions) -> Found:
    """The measured ones of a matrix (q, m)."""
    lines, columns = np.nonzero(measured.distances < np.inf)
    at = lines, columns
    return Found(lines, positions[at], measured.distances[at], measured.errors[at])


def settled(
    found: Found, queries: int, official: Official, wanted: Wanted
) -> Iterator[tuple[NDArray[np.intp], Doubles, Positions]]:
    """What `settle` gives for some of the queries at a time, and which these are.

    Those for which about as much was found go together: no matrix has more than twice as many places as it needs.

    Args:
        found: Measured rows.
        queries: How many there are.
        official: The distances of `simsearch.distance`.
        wanted: How many, and how far they may be.
    """
    if queries == 1:
        measured = Measured(found.distances[None], found.errors[None])
        yield np.zeros(1, np.intp), *settle(measured, found.positions[None], official, wanted)
        return
    sizes = np.frexp(np.bincount(found.lines, minlength=queries))[1]  # of a query with 2^(size - 1) rows or more
    for size in sorted(set(sizes.tolist())):
        lines = np.flatnonzero(sizes == size)
        some = found.take(sizes[found.lines] == size)
        measured, positions = matrix(some._replace(lines=np.searchsorted(lines, some.lines)), len(lines))
        of_some = partial(_renumbered, official, lines)
        yield lines, *settle(measured, positions, of_some, wanted)


def nearest_settled(found: Found, queries: int, official: Official, wanted: Wanted) -> tuple[Doubles, Positions]:
    """What `settle` gives for all queries (q, k), padded with infinity and -1."""
    distances, positions = np.full((queries, wanted.k), np.inf), np.full((queries, wanted.k), -1, np.int64)
    for lines, near, where in settled(found, queries, official, wanted):
        distances[lines, : near.shape[1]], positions[lines, : near.shape[1]] = near, where
    return distances, positions


def matrix(found: Found, queries: int) -> tuple[Measured, Positions]:
    """Found rows as one line a query (queries, most), padded with infinite distances."""
    order = np.argsort(found.lines, kind="stable")
    found = found.take(order)
    ranks = _ranks(found.lines, queries)
    shape = (queries, int(ranks.max(initial=0)) + 1)
    measured = Measured(np.full(shape, np.inf), np.zeros(shape))
    positions = np.full(shape, -1, np.int64)
    measured.distances[found.lines, ranks] = found.distances
    measured.errors[found.lines, ranks] = found.errors
    positions[found.lines, ranks] = found.positions
    return measured, positions


def _second_score(scan: Scan, queries: torch.Tensor, limits: Doubles) -> Score:
    """What it was, unless it is a map that leaves so many rows open that a tighter score costs less.

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


def nearest_found(found: Found, queries: int, wanted: Wanted) -> tuple[Found, Doubles]:
    """Those that can be among the k nearest of their query, and a distance (q,) that k of them do not exceed."""
    high = found.distances + found.errors
    order = np.lexsort((high, found.lines))
    ends = np.searchsorted(found.lines[order], np.arange(queries + 1))
    kth = ends[:-1] + wanted.k - 1
    there = kth < ends[1:]
    highest = np.full(queries, np.inf)
    highest[there] = wanted.no_farther(high[order[kth[there]]])
    return found.take(found.distances - found.errors <= highest[found.lines]), highest


def _ranks(lines: NDArray[np.int64], queries: int) -> NDArray[np.int64]:
    """Which of its line each is, where the lines are sorted."""
    starts = np.searchsorted(lines, np.arange(queries))
    ranks: NDArray[np.int64] = np.arange(len(lines)) - starts[lines]
    return ranks


def _shortened(found: Found, queries: int, official: Official, pairs: Pairs, wanted: Wanted) -> Found:
    """No more than the k nearest of each query."""
    short = NOTHING
    for some, _, positions in settled(found, queries, official, wanted):
        lines, columns = np.nonzero(positions >= 0)
        nearest = some[lines], positions[lines, columns]
        short = short.join(Found(*nearest, *pairs(*nearest)))
    return short


def _renumbered(official: Official, lines: NDArray[np.intp], line: int, positions: Positions) -> Doubles:
    return official(int(lines[line]), positions)
