"""Distances of chosen pairs in float64 on any device, each with a bound on how far `simsearch.distance` can be from it.

Both compute the same expression in float64, u = 2^-53, in an order of their own; the bounds hold for any order. On a
CPU compiled loops do it once there is enough to do, from the rows as they are stored; else torch does. What comes out
as no finite number is measured by `simsearch.distance`: no row is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.distance import by_name
from simsearch.runtime.threads import pool
from simsearch.runtime.tiles import in_parts
from simsearch.search.arguments import MOST_DISTANT, SearchRequest
from simsearch.search.metrics import SEARCH_METRICS
from simsearch.search.metrics.base import Doubles
from simsearch.search.refine.compiled_blocks import StoredBlock, safe_in_single, stored_blocks
from simsearch.search.scan.blocks import Scan, to_numpy

_FIRST = 2  # and those measured first; the others only where the distances found leave them open

_CPU_CELLS = 1 << 15  # coordinates in one tile: small enough for a core's cache, and for torch not to split it
_ALONE = 1 << 18  # coordinates, some milliseconds' work: threads would wait for each other on a busy machine
_COMPILED_CELLS = 1 << 18  # and for compiled loops, which keep no more than two rows
_CELL_BYTES = 64  # of memory for a coordinate of a tile: the pair as stored and in float64, and three temporaries


class Measured(NamedTuple):
    """Distances with their errors; 0 with 0 where the rows are equal, infinity with 0 where nothing was measured."""

    distances: Doubles
    errors: Doubles


class PairDistances:
    """The distances of queries to rows of a scan."""

    def __init__(self, scan: Scan, queries: Tensor) -> None:
        self._scan = scan
        self._queries = queries
        self._blocks: Sequence[StoredBlock] | None = None
        self._measure = SEARCH_METRICS[scan.metric].measure
        self._prepared = self._measure.prepare(queries)

    def __call__(self, query_ids: NDArray[np.int64], positions: NDArray[np.int64]) -> Measured:
        """Return distances of query `query_ids[i]` and row `positions[i]`, for every i (c,)."""
        stored = self.stored(len(query_ids))
        if stored is None:
            distances = self._map(self._distances, query_ids, positions)
        else:
            distances = self._compiled("measure", self._prepared.numpy(), stored, query_ids, positions)
        lost = np.flatnonzero(~np.isfinite(distances))
        if len(lost):
            distances[lost] = self._officially(query_ids[lost], positions[lost])
        errors = self._measure.error(distances, self._scan.dimension)
        errors[lost] = 0
        maybe = np.flatnonzero((distances <= errors) & (errors > 0))
        if len(maybe):  # equal rows are at distance 0, whatever was rounded
            equal = maybe[self._map(self._are_equal, query_ids[maybe], positions[maybe])]
            distances[equal] = errors[equal] = 0
        return Measured(distances, errors)

    def may_be_within(
        self, query_ids: NDArray[np.int64], positions: NDArray[np.int64], limits: Doubles
    ) -> NDArray[np.bool_]:
        """Return whether query `query_ids[i]` and row `positions[i]` may be within `limits[i]`, for every i (c,).

        False only where the distance in float64 is certainly above; true where that is not worth finding out.
        """
        found = self.divergences(query_ids, positions)
        if found is None:
            return np.ones(len(query_ids), bool)
        from simsearch.search.refine.compiled_pairs import DIVERGENCE_ERROR

        allowed = 2 * np.log(2) * np.square(limits, dtype=np.float64) * (1 + 1e-9) + DIVERGENCE_ERROR
        return np.asarray(~(found > allowed))  # one without a distance is measured, and named

    def divergences(self, query_ids: NDArray[np.int64], positions: NDArray[np.int64]) -> Doubles | None:
        """Return twice the Jensen-Shannon divergence of each pair (c,) in nats, in float32, within `DIVERGENCE_ERROR`.

        NaN for a row without a distribution. None by another metric, and where there is no compiled pass for the rows.
        """
        stored = self.stored(len(query_ids)) if self._scan.metric == "js" else None
        if stored is None or not safe_in_single(stored):
            return None
        return self._compiled("divergence", self._prepared.numpy().astype(np.float32), stored, query_ids, positions)

    def stored(self, pairs: int) -> Sequence[StoredBlock] | None:
        """Return the `stored_blocks` for so many more pairs."""
        if self._blocks is None:  # once compiled passes are used they stay so
            self._blocks = stored_blocks(self._scan, pairs)
        return self._blocks

    def _distances(self, query_ids: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = self._measure.prepare(self._scan.gather(positions))
        distances: Doubles = self._measure.between(self._prepared[self._index(query_ids)], rows).cpu().numpy()
        return distances

    def _officially(self, query_ids: NDArray[np.int64], positions: NDArray[np.int64]) -> Doubles:
        """Return distances (c,), by `simsearch.distance`, of valid pairs for which a fast pass has none."""
        out, distance = np.empty(len(query_ids)), by_name(self._scan.metric)
        for query_id in np.unique(query_ids):
            mine = query_ids == query_id
            query, rows = self._queries[query_id : query_id + 1], self._scan.gather(positions[mine])
            with np.errstate(over="ignore"):
                out[mine] = distance(to_numpy(query), to_numpy(rows))[0]
        return np.minimum(out, MOST_DISTANT)

    def _compiled(
        self,
        way: Literal["measure", "divergence"],
        queries: NDArray[Any],
        stored: Sequence[StoredBlock],
        query_ids: NDArray[np.int64],
        positions: NDArray[np.int64],
    ) -> Doubles:
        """Return the result of a compiled pass for each pair."""
        query_ids, positions = (
            np.ascontiguousarray(query_ids),
            np.ascontiguousarray(positions),
        )  # one type: compiled once
        out = np.empty(len(query_ids))

        def part(some: slice) -> None:
            for base, rows, passes in stored:
                getattr(passes, way)(queries, rows, base, (query_ids[some], positions[some]), out[some])

        in_parts(part, len(query_ids), _COMPILED_CELLS // self._scan.dimension)
        return out

    def _are_equal(self, query_ids: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        ours, theirs = self._queries[self._index(query_ids)], self._scan.gather(positions)
        if ours.dtype != theirs.dtype:  # torch would compare whole numbers as float32
            ours, theirs = ours.double(), theirs.double()
        equal: NDArray[np.bool_] = (ours == theirs).all(dim=1).cpu().numpy()
        return equal

    def _index(self, query_ids: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(query_ids).to(self._scan.device)

    def _map(
        self,
        work: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]],
        query_ids: NDArray[np.int64],
        positions: NDArray[np.int64],
    ) -> NDArray[Any]:
        """Return the results of work on tiles of bounded memory; on a CPU on as many threads as torch has."""
        on_cpu = self._scan.device.type == "cpu"
        threads = torch.get_num_threads() if on_cpu else 1
        cells = self._scan.budget // (_CELL_BYTES * threads)
        step = max(1, (min(cells, _CPU_CELLS) if on_cpu else cells) // self._scan.dimension)
        starts = range(0, max(1, len(query_ids)), step)

        def tile(start: int) -> NDArray[Any]:
            return work(query_ids[start : start + step], positions[start : start + step])

        if threads == 1 or len(starts) == 1 or (on_cpu and len(query_ids) * self._scan.dimension <= _ALONE):
            return np.concatenate([tile(start) for start in starts])
        return np.concatenate(list(pool(threads).map(tile, starts)))


Positions = NDArray[np.int64]
Official = Callable[[int, Positions], Doubles]
"""Returns the distances of query i to the rows at some positions."""


def settle(
    measured: Measured, positions: Positions, official: Official, request: SearchRequest, ids: Positions | None = None
) -> tuple[Doubles, Positions]:
    """Return the nearest of the measured rows of each query; ties to the lower position, or the lower id.

    Args:
        measured: Distances and errors (q, m), infinite where nothing was measured.
        positions: (q, m).
        official: Gives the distance that replaces a doubtful one.
        request: How many to return, and how far they may be.
        ids: Ties go to the lower one (q, m); by default positions.

    Returns:
        Distances (q, k), which round to the right float32, padded with infinity, and positions, padded with -1;
        (q, m) where m is less.
    """
    k = min(request.k, positions.shape[1])
    ids = positions if ids is None else ids
    order = np.lexsort((ids, request.key(measured.distances)), axis=-1)
    at = np.arange(len(order))[:, None], order
    distances, errors, positions, ids = measured.distances[at], measured.errors[at], positions[at], ids[at]
    doubtful = _doubtful(distances, errors, k, request)
    for i in np.flatnonzero(doubtful.any(axis=1)):
        which = np.flatnonzero(doubtful[i])
        distances[i, which] = np.minimum(official(int(i), positions[i, which]), MOST_DISTANT)
        order = np.lexsort((ids[i], request.key(distances[i])))
        distances[i], positions[i] = distances[i, order], positions[i, order]
    distances, positions = distances[:, :k], positions[:, :k]
    kept = (distances <= request.limit) & (distances < np.inf)
    return np.where(kept, distances, np.inf), np.where(kept, positions, -1)


def _doubtful(distances: Doubles, errors: Doubles, k: int, request: SearchRequest) -> NDArray[np.bool_]:
    """Return which of the sorted distances (q, m) must be computed again, for the k nearest to be right."""
    low, high = distances - errors, distances + errors
    near: NDArray[np.bool_] = (low <= request.no_farther(high[:, k - 1 : k])) & (distances < np.inf) & (errors > 0)
    with np.errstate(over="ignore"):
        doubtful = low.astype(np.float32) != high.astype(np.float32)
    doubtful |= (low <= request.limit) & (request.limit <= high)
    if not request.rounded:
        touching = low[:, 1:] <= np.maximum.accumulate(high, axis=1)[:, :-1]
        doubtful[:, 1:] |= touching
        doubtful[:, :-1] |= touching
    near &= doubtful
    return near


def official(scan: Scan, queries: torch.Tensor) -> Official:
    """Return the distances of `simsearch.distance` from one of the queries to rows at some positions."""
    from simsearch.search.refine.equal_rows import SEVERAL, alike

    def distances(query_id: int, positions: Positions) -> Doubles:
        rows = to_numpy(scan.gather(positions))
        first = alike(rows) if len(rows) > SEVERAL else np.arange(len(rows))
        once, members = np.unique(first, return_inverse=True)
        with np.errstate(over="ignore"):
            exact: Doubles = by_name(scan.metric)(to_numpy(queries[query_id : query_id + 1]), rows[once])[0]
        return exact[members]

    return distances


def measure(
    pairs: PairDistances, scan: Scan, scores: Doubles, candidates: Positions, request: SearchRequest, *, error: float
) -> Measured:
    """Return distances and errors (q, kept) of the candidates that can be among the k nearest, infinite elsewhere.

    The first few are measured for all; then those whose score is within the bound of the k-th best of them, and of
    these only what distances in float32 leave open.
    """
    found = Measured(np.full(scores.shape, np.inf), np.zeros(scores.shape))

    def add(query_ids: Positions, columns: Positions) -> None:
        if len(query_ids):
            found.distances[query_ids, columns], found.errors[query_ids, columns] = pairs(
                query_ids, candidates[query_ids, columns]
            )

    k = min(request.k, scores.shape[1])
    first = min(k + _FIRST, scores.shape[1])
    add(*np.nonzero(candidates[:, :first] >= 0))
    if first < scores.shape[1]:
        highest = np.partition(found.distances[:, :first] + found.errors[:, :first], k - 1, axis=1)
        allowed = request.no_farther(highest[:, k - 1])
        still = (candidates >= 0) & (scores <= (scan.score.of(allowed) + error)[:, None])
        still[:, :first] = False
        query_ids, columns = np.nonzero(still)
        within = pairs.may_be_within(query_ids, candidates[query_ids, columns], allowed[query_ids])
        add(query_ids[within], columns[within])
    return found
