"""Scores of rows for a few queries, from the rows as they are stored, and how far they can be from exact.

With u = 2^-24 the rounding of float32 and m how often at most a term of a sum is rounded (`score_kernels.roundings`;
the dimension and a few in numpy, whose order is not known):

- Stored values are exact in float32. A cosine is a product, wrong by at most m u of the lengths (Cauchy-Schwarz), over
  a length whose square is wrong by m u of itself; query, root and quotient are rounded once each: (3/2 m + 8) u. For js
  the same of roots, each rounded once, over the root of a sum of positive numbers. Of values below float32's normal
  ones at most 2^-126 is lost, of their roots 2^-63, which counts little beside sums of at least 2^-60; rows with less
  have no score.
- A gap is rounded once, its square and the sum m times, always relatively: a squared distance is wrong by (m + 2) u of
  itself, a sum of gaps by (m + 1) u, and what squares below the normal numbers lose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import check_rows
from simsearch.errors import MetricError, RowError
from simsearch.runtime.kernel_cache import pays_by_now
from simsearch.runtime.tiles import in_parts
from simsearch.search.metrics.base import Doubles
from simsearch.search.metrics.feature_maps import HELLINGER
from simsearch.search.refine.compiled_blocks import as_stored, fits
from simsearch.search.refine.pairs import Positions
from simsearch.search.scan.blocks import Scan

FEW = 16  # queries, for which a product of matrices does not pay
_KINDS: dict[Any, str] = {np.dtype(kind): kind for kind in ("float16", "float32", "uint8")}
_METRICS = ("js", "cosine", "l2", "l1")
_PART = 16 << 20  # bytes of rows a thread: a millisecond's work is not split
_TILE = 1 << 15  # coordinates of a tile in numpy
_WORTH = 1 << 28  # coordinates that take numpy as long as compiling does
_UNIT = 2.0**-24
_LEAST = 2.0**-60  # as in the compiled passes
_LARGEST = np.finfo(np.float32).max

Scores = NDArray[np.float32]


def serves(scan: Scan, queries: Any) -> bool:
    """Return whether the queries are few enough, and the rows suitable, for this way."""
    blocks: Sequence[Any] = scan.blocks
    return (
        scan.device.type == "cpu"
        and scan.metric in _METRICS
        and len(queries) <= FEW
        and isinstance(queries, np.ndarray)
        and (scan.metric in ("js", "cosine") or queries.dtype in _KINDS)  # which float32 holds as they are
        and all(fits(block) and block.dtype in _KINDS for block in blocks)
    )


def expect(metric: str, kind: str) -> None:
    """Have the next search of rows of a type compile its passes."""
    _pays(_WORTH, metric, kind)


class DirectScores:
    """Scores of the rows of a scan for some queries, and the bounds that distances put on them."""

    def __init__(self, scan: Scan, queries: NDArray[Any]) -> None:
        self._scan = scan
        self._queries = unit(queries, scan.metric)
        self._blocks: Sequence[Any] = scan.blocks
        kinds = {block.dtype for block in self._blocks if len(block)}
        passes = _passes(scan.metric, kinds, len(queries) * scan.rows * scan.dimension)
        self._passes = passes or dict.fromkeys(kinds, _plain(scan.metric))
        roundings = scan.dimension + 8
        if passes is not None:
            from simsearch.search.scan import score_kernels

            roundings = score_kernels.roundings(scan.dimension)
        self._factor, self._more = _bound(scan.metric, scan.dimension, roundings)

    def highest(self, distances: Doubles) -> Scores:
        """Return the highest score (q,) of a row within a distance; below infinity, the score of dead rows."""
        values = self._factor * (distances**2 if self._scan.metric in ("js", "l2") else distances) + self._more
        return np.nextafter(np.minimum(values, float(_LARGEST)).astype(np.float32), _LARGEST)

    def scores(self, start: int, stop: int) -> Scores:
        """Return scores (q, stop - start) of the rows at these positions; minus infinity where float32 has none."""
        out = np.empty((len(self._queries), stop - start), np.float32)
        parts, base = [], 0
        step = max(1, _PART // (self._scan.dimension * 2))
        for block, live in zip(self._blocks, self._scan.live, strict=True):
            low, high = max(start, base), min(stop, base + len(block))
            parts += [(block, live, base, slice(i - base, min(i + step, high) - base)) for i in range(low, high, step)]
            base += len(block)

        def work(some: slice) -> None:
            for block, live, base, rows in parts[some]:
                mask = None if live is None else np.asarray(live[rows])
                out[:, base + rows.start - start : base + rows.stop - start] = self._part(
                    block[rows], mask, base + rows.start
                )

        in_parts(work, len(parts), 1 if stop - start > step else len(parts))
        return out

    def unlike(self, positions: Positions, scores: Scores, k: int) -> NDArray[np.bool_]:
        """Return which rows can be among the k nearest, where ties of equal rows go to the lower position."""
        keep = np.ones(len(positions), bool)
        if len(positions) <= k:
            return keep
        order = np.argsort(scores, kind="stable")
        rising = scores[order]
        if not (rising[k:] == rising[:-k]).any():
            return keep
        starts = np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
        for first, size in zip(starts, np.diff(starts, append=len(order)), strict=True):
            if size > k:
                run = order[first : first + size]
                model = self._scan.gather(positions[run[:1]])
                step = max(1, _PART // self._scan.dimension)
                same = [
                    (self._scan.gather(positions[run[i : i + step]]) == model).all(dim=1).numpy()
                    for i in range(0, size, step)
                ]
                keep[run[np.flatnonzero(np.concatenate(same))[k:]]] = False
        return keep

    def _part(self, rows: NDArray[Any], live: NDArray[np.bool_] | None, start: int) -> Scores:
        """Return scores (q, n) of some rows of a block, from position `start` on."""
        scores, suspects = self._passes[rows.dtype](self._queries, rows)
        bad = ~np.isfinite(scores)
        suspects |= bad.any(axis=0)
        if live is not None:
            suspects &= live
        _check(rows, suspects, self._scan.metric, start)
        scores[bad] = -np.inf
        if live is not None:
            scores[:, ~live] = np.inf
        return scores


def cosine_error(metric: str, dimension: int, roundings: int) -> float:
    """Return how far the cosine of rows, or for js of their roots, can be from exact."""
    return 1.01 * (1.5 * roundings + 8) * _UNIT + (2.0**-33 * math.sqrt(dimension) if metric == "js" else 0)


def _bound(metric: str, d: int, m: int) -> tuple[float, float]:
    """Return factor and summand that turn a distance, or its square for js and l2, into the highest score."""
    if metric in ("l2", "l1"):
        return 1 + 1.01 * (m + 4) * _UNIT, d * 2.0**-120
    return math.log(2) / (2 * HELLINGER.weight) if metric == "js" else 2.0, cosine_error(metric, d, m) - 1


def _check(rows: NDArray[Any], suspects: NDArray[np.bool_], metric: str, start: int) -> None:
    """Refuse rows that no distance is defined on, among those that may be such, by their position."""
    if not suspects.any():
        return
    try:
        check_rows(rows[suspects], metric=metric)
    except (MetricError, RowError):
        for i in np.flatnonzero(suspects).tolist():
            check_rows(rows[i : i + 1], metric=metric, what="row", start=start + i)


def unit(queries: NDArray[Any], metric: str) -> NDArray[np.float32]:
    """Return queries (q, d) prepared for scores: of length 1 for cosine, roots of distributions for js."""
    if metric not in ("js", "cosine"):
        return np.ascontiguousarray(queries, np.float32)
    values = queries.astype(np.float64, order="C")
    values /= np.abs(values).max(axis=1, keepdims=True)
    if metric == "js":
        values = np.sqrt(values / values.sum(axis=1, keepdims=True))
    else:
        values /= np.sqrt(np.vecdot(values, values))[:, None]
    return np.asarray(values, np.float32)


Pass = Callable[[NDArray[np.float32], NDArray[Any]], tuple[Scores, NDArray[np.bool_]]]
"""Returns scores (q, n) of queries and rows, and which rows (n,) may be all zeros where the scores do not show it."""


def _passes(metric: str, kinds: set[Any], coordinates: int) -> dict[Any, Pass] | None:
    """Return the compiled passes for types of rows; None where numpy is faster than compiling."""
    paid = [_pays(coordinates, metric, _KINDS[kind]) for kind in kinds]
    if not all(paid):
        return None
    from simsearch.search.scan.score_kernels import scanner

    def of(kind: str) -> Pass:
        scan = scanner(metric, kind)

        def scores(queries: NDArray[np.float32], rows: NDArray[Any]) -> tuple[Scores, NDArray[np.bool_]]:
            out = np.empty((len(queries), len(rows)), np.float32)
            scan(queries, as_stored(rows), out)
            if metric in ("js", "cosine") or kind == "uint8":
                return out, np.zeros(len(rows), bool)
            zero, of_zero = np.zeros((1, rows.shape[1]), kind), np.empty((len(queries), 1), np.float32)
            scan(queries, as_stored(zero), of_zero)  # the same steps, and so the same score
            return out, out[0] == of_zero[0]

        return scores

    return {kind: of(_KINDS[kind]) for kind in kinds}


def _pays(coordinates: int, metric: str, kind: str) -> bool:
    return pays_by_now(coordinates, _WORTH, "scan", metric, kind)


def _plain(metric: str) -> Pass:
    """Return the same pass in numpy, tile by tile."""

    def scores(queries: NDArray[np.float32], rows: NDArray[Any]) -> tuple[Scores, NDArray[np.bool_]]:
        out, zero = np.empty((len(queries), len(rows)), np.float32), np.zeros(len(rows), bool)
        step = max(1, _TILE // rows.shape[1])
        with np.errstate(all="ignore"):  # dead rows may hold anything
            for start in range(0, len(rows), step):
                tile = slice(start, start + step)
                values = rows[tile].astype(np.float32)
                if metric in ("l2", "l1"):
                    zero[tile] = rows.dtype.kind == "f" and ~values.any(axis=1)
                    for line, query in zip(out[:, tile], queries, strict=True):
                        gap = values - query
                        line[:] = np.vecdot(gap, gap) if metric == "l2" else np.abs(gap).sum(axis=1)
                    continue
                sums = values.sum(axis=1) if metric == "js" else np.vecdot(values, values)
                sums[~((sums >= _LEAST) & (sums < np.inf))] = np.nan
                values = np.sqrt(values) if metric == "js" else values
                for line, query in zip(out[:, tile], queries, strict=True):
                    line[:] = -np.vecdot(values, query) / np.sqrt(sums)
        return out, zero

    return scores
