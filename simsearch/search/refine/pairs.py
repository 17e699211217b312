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
from simsearch.search.arguments import MOST_DISTANT, Wanted
from simsearch.search.metrics import SEARCH_METRICS
from simsearch.search.metrics.base import Doubles
from simsearch.search.refine.compiled_blocks import StoredBlock, safe_in_single, stored_blocks
from simsearch.search.scan.blocks import Scan, to_numpy

_FIRST = 2  # and those of them measured at once; the others only where the distances found leave them open

_CPU_CELLS = 1 << 15  # coordinates in one tile: small enough for a core's cache, and for torch not to split it
_ALONE = 1 << 18  # coordinates, some milliseconds' work: threads would wait for each other on a busy machine
_COMPILED_CELLS = 1 << 18  # and for compiled loops, which keep no more than two rows
_CELL_BYTES = 64  # of memory for a coordinate of a tile: the pair as stored and in float64, and three temporaries


class Measured(NamedTuple):
    """Distances with their errors; 0 with 0 where the rows are equal, infinity with 0 where nothing was measured."""

    distances: Doubles
    errors: Doubles


class Pairs:
    """The distances of queries to rows of a scan."""

    def __init__(self, scan: Scan, queries: Tensor) -> None:
        self._scan = scan
        self._queries = queries
        self._blocks: Sequence[StoredBlock] | None = None
        self._measure = SEARCH_METRICS[scan.metric].measure
        self._prepared = self._measure.prepare(queries)

    def __call__(self, lines: NDArray[np.int64], positions: NDArray[np.int64]) -> Measured:
        """Distances of query `lines[i]` and row `positions[i]`, for every i (c,)."""
        stored = self.stored(len(lines))
        if stored is None:
            distances = self._map(self._distances, lines, positions)
        else:
            distances = self._compiled("measure", self._prepared.numpy(), stored, lines, positions)
        lost = np.flatnonzero(~np.isfinite(distances))
        if len(lost):
            distances[lost] = self._officially(lines[lost], positions[lost])
        errors = self._measure.error(distances, self._scan.dimension)
        errors[lost] = 0
        maybe = np.flatnonzero((distances <= errors) & (errors > 0))
        if len(maybe):  # equal rows are at distance 0, whatever was rounded
            equal = maybe[self._map(self._are_equal, lines[maybe], positions[maybe])]
            distances[equal] = errors[equal] = 0
        return Measured(distances, errors)

    def may_be_within(
        self, lines: NDArray[np.int64], positions: NDArray[np.int64], limits: Doubles
    ) -> NDArray[np.bool_]:
        """Whether query `lines[i]` and row `positions[i]` may be within `limits[i]`, for every i (c,).

        False only where the distance in float64 is certainly above; true where that is not worth finding out.
        """
        found = self.divergences(lines, positions)
        if found is None:
            return np.ones(len(lines), bool)
        from simsearch.search.refine.compiled_pairs import DIVERGENCE_ERROR

        allowed = 2 * np.log(2) * np.square(limits, dtype=np.float64) * (1 + 1e-9) + DIVERGENCE_ERROR
        return np.asarray(~(found > allowed))  # one without a distance is measured, and named

    def divergences(self, lines: NDArray[np.int64], positions: NDArray[np.int64]) -> Doubles | None:
        """Twice the Jensen-Shannon divergence of each pair (c,) in nats, in float32, within `DIVERGENCE_ERROR`.

        NaN for a row without a distribution. None by another metric, and where there is no compiled pass for the rows.
        """
        stored = self.stored(len(lines)) if self._scan.metric == "js" else None
        if stored is None or not safe_in_single(stored):
            return None
        return self._compiled("divergence", self._prepared.numpy().astype(np.float32), stored, lines, positions)

    def stored(self, pairs: int) -> Sequence[StoredBlock] | None:
        """What `stored_blocks` gives for so many more pairs."""
        if self._blocks is None:  # once compiled passes are used they stay so
            self._blocks = stored_blocks(self._scan, pairs)
        return self._blocks

    def _distances(self, lines: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = self._measure.prepare(self._scan.gather(positions))
        distances: Doubles = self._measure.between(self._prepared[self._index(lines)], rows).cpu().numpy()
        return distances

    def _officially(self, lines: NDArray[np.int64], positions: NDArray[np.int64]) -> Doubles:
        """Distances of sound pairs (c,) that a fast pass has none for, by `simsearch.distance`."""
        out, distance = np.empty(len(lines)), by_name(self._scan.metric)
        for line in np.unique(lines):
            mine = lines == line
            query, rows = self._queries[line : line + 1], self._scan.gather(positions[mine])
            with np.errstate(over="ignore"):
                out[mine] = distance(to_numpy(query), to_numpy(rows))[0]
        return np.minimum(out, MOST_DISTANT)

    def _compiled(
        self,
        way: Literal["measure", "divergence"],
        queries: NDArray[Any],
        stored: Sequence[StoredBlock],
        lines: NDArray[np.int64],
        positions: NDArray[np.int64],
    ) -> Doubles:
        """What one of the compiled passes gives for each pair."""
        lines, positions = np.ascontiguousarray(lines), np.ascontiguousarray(positions)  # one type: compiled once
        out = np.empty(len(lines))

        def part(some: slice) -> None:
            for base, rows, passes in stored:
                getattr(passes, way)(queries, rows, base, (lines[some], positions[some]), out[some])

        in_parts(part, len(lines), _COMPILED_CELLS // self._scan.dimension)
        return out

    def _are_equal(self, lines: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        ours, theirs = self._queries[self._index(lines)], self._scan.gather(positions)
        if ours.dtype != theirs.dtype:  # torch would compare whole numbers as float32
            ours, theirs = ours.double(), theirs.double()
        equal: NDArray[np.bool_] = (ours == theirs).all(dim=1).cpu().numpy()
        return equal

    def _index(self, lines: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(lines).to(self._scan.device)

    def _map(
        self,
        work: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]],
        lines: NDArray[np.int64],
        positions: NDArray[np.int64],
    ) -> NDArray[Any]:
        """The work on tiles of bounded memory; on a CPU on as many threads as torch would take."""
        on_cpu = self._scan.device.type == "cpu"
        threads = torch.get_num_threads() if on_cpu else 1
        cells = self._scan.budget // (_CELL_BYTES * threads)
        step = max(1, (min(cells, _CPU_CELLS) if on_cpu else cells) // self._scan.dimension)
        starts = range(0, max(1, len(lines)), step)

        def tile(start: int) -> NDArray[Any]:
            return work(lines[start : start + step], positions[start : start + step])

        if threads == 1 or len(starts) == 1 or (on_cpu and len(lines) * self._scan.dimension <= _ALONE):
            return np.concatenate([tile(start) for start in starts])
        return np.concatenate(list(pool(threads).map(tile, starts)))


Positions = NDArray[np.int64]
Official = Callable[[int, Positions], Doubles]
"""Gives the distances of query i, by its number, to the rows at some positions."""


def settle(
    measured: Measured, positions: Positions, official: Official, wanted: Wanted, ids: Positions | None = None
) -> tuple[Doubles, Positions]:
    """The nearest of the measured rows of each query; ties to the lower position, or the lower id.

    Args:
        measured: Distances and errors (q, m), infinite where nothing was measured.
        positions: (q, m).
        official: What a doubtful distance is replaced by.
        wanted: How many to return, and how far they may be.
        ids: What ties go by (q, m); by default positions.

    Returns:
        Distances (q, k), which round to the right float32, padded with infinity, and positions, padded with -1;
        (q, m) where m is less.
    """
    k = min(wanted.k, positions.shape[1])
    ids = positions if ids is None else ids
    order = np.lexsort((ids, wanted.key(measured.distances)), axis=-1)
    at = np.arange(len(order))[:, None], order
    distances, errors, positions, ids = measured.distances[at], measured.errors[at], positions[at], ids[at]
    doubtful = _doubtful(distances, errors, k, wanted)
    for i in np.flatnonzero(doubtful.any(axis=1)):
        which = np.flatnonzero(doubtful[i])
        distances[i, which] = np.minimum(official(int(i), positions[i, which]), MOST_DISTANT)
        order = np.lexsort((ids[i], wanted.key(distances[i])))
        distances[i], positions[i] = distances[i, order], positions[i, order]
    distances, positions = distances[:, :k], positions[:, :k]
    kept = (distances <= wanted.limit) & (distances < np.inf)
    return np.where(kept, distances, np.inf), np.where(kept, positions, -1)


def _doubtful(distances: Doubles, errors: Doubles, k: int, wanted: Wanted) -> NDArray[np.bool_]:
    """Which of the sorted distances (q, m) must be known better, for the k nearest to be right."""
    low, high = distances - errors, distances + errors
    near: NDArray[np.bool_] = (low <= wanted.no_farther(high[:, k - 1 : k])) & (distances < np.inf) & (errors > 0)
    with np.errstate(over="ignore"):
        doubtful = low.astype(np.float32) != high.astype(np.float32)
    doubtful |= (low <= wanted.limit) & (wanted.limit <= high)
    if not wanted.rounded:
        touching = low[:, 1:] <= np.maximum.accumulate(high, axis=1)[:, :-1]
        doubtful[:, 1:] |= touching
        doubtful[:, :-1] |= touching
    near &= doubtful
    return near


def official(scan: Scan, queries: torch.Tensor) -> Official:
    """The distances of `simsearch.distance` from one of the queries to rows at some positions."""
    from simsearch.search.refine.equal_rows import SEVERAL, alike

    def distances(line: int, positions: Positions) -> Doubles:
        rows = to_numpy(scan.gather(positions))
        first = alike(rows) if len(rows) > SEVERAL else np.arange(len(rows))
        once, members = np.unique(first, return_inverse=True)
        with np.errstate(over="ignore"):
            exact: Doubles = by_name(scan.metric)(to_numpy(queries[line : line + 1]), rows[once])[0]
        return exact[members]

    return distances


def measure(
    pairs: Pairs, scan: Scan, scores: Doubles, candidates: Positions, wanted: Wanted, *, error: float
) -> Measured:
    """Distances and errors (q, kept) of the candidates that can be among the k nearest, infinite elsewhere.

    The first few are measured for all; then those whose score is within what the k-th best of them allows, and of these
    no more than distances in float32 leave open.
    """
    found = Measured(np.full(scores.shape, np.inf), np.zeros(scores.shape))

    def add(lines: Positions, columns: Positions) -> None:
        if len(lines):
            found.distances[lines, columns], found.errors[lines, columns] = pairs(lines, candidates[lines, columns])

    k = min(wanted.k, scores.shape[1])
    first = min(k + _FIRST, scores.shape[1])
    add(*np.nonzero(candidates[:, :first] >= 0))
    if first < scores.shape[1]:
        highest = np.partition(found.distances[:, :first] + found.errors[:, :first], k - 1, axis=1)
        allowed = wanted.no_farther(highest[:, k - 1])
        still = (candidates >= 0) & (scores <= (scan.score.of(allowed) + error)[:, None])
        still[:, :first] = False
        lines, columns = np.nonzero(still)
        near = pairs.may_be_within(lines, candidates[lines, columns], allowed[lines])
        add(lines[near], columns[near])
    return found
