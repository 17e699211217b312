"""How much an index finds, measured against exact search, and the cheapest way of asking it that finds enough."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError

if TYPE_CHECKING:
    from simsearch.search.exact import Neighbours
    from simsearch.search.index import Index
    from simsearch.search.scan import Block, Live

DEPTHS = (2, 10, 40)
"""Candidates that are measured exactly, in multiples of k."""
_MOST = 1 << 31
_ENOUGH = 0.9995  # a recall after which more effort buys nothing
_SLOWEST = 30  # times the queries a second of the fastest point so far: slower ones are not tried


@dataclass(frozen=True, slots=True)
class Point:
    """One way of asking an index, and what it gave.

    Attributes:
        effort: Lists looked into, or nodes of the graph kept open.
        depth: Candidates of each query that were measured exactly.
        recall: Share of the true k nearest that were found, the mean over queries.
        low: Lower end of its 95 % interval.
        high: Upper end.
        rate: Queries a second.
    """

    effort: int
    depth: int
    recall: float
    low: float
    high: float
    rate: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Recall against queries a second.

    Attributes:
        k: Neighbours asked for.
        queries: Rows of the library that were asked with, each left out of its own answer.
        wanted: The recall asked for.
        points: The ways that no other one beats in both, the fastest first.
        chosen: The fastest whose lower end reaches the recall; None where none does.
    """

    k: int
    queries: int
    wanted: float
    points: tuple[Point, ...]
    chosen: Point | None

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> Curve:
        """The curve that `as_json` told.

        Raises:
            TypeError, KeyError: It is none.
        """
        chosen = values["chosen"]
        points = tuple(Point(**point) for point in values["points"])
        curve = cls(**{**values, "points": points, "chosen": None if chosen is None else Point(**chosen)})
        told = points if curve.chosen is None else (*points, curve.chosen)
        counts = [curve.k, curve.queries, *(n for point in told for n in (point.effort, point.depth))]
        shares = [curve.wanted, *(x for point in told for x in (point.recall, point.low, point.high, point.rate))]
        if not all(isinstance(n, int) and 0 < n < _MOST for n in counts):
            raise TypeError("a count is none")
        if not all(isinstance(x, (int, float)) and math.isfinite(x) for x in shares):
            raise TypeError("a share is no number")
        return curve


def tune(
    index: Index,
    blocks: Sequence[Block],
    own: NDArray[np.int64],
    *,
    recall: float,
    k: int = 10,
    live: Live | None = None,
    device: str = "cpu",
    progress: Callable[[int], None] = lambda _points: None,
) -> Curve:
    """Measure an index by rows of the library, each left out of its own answer, and choose how to ask it.

    Args:
        index: Over all of the blocks.
        blocks: The rows.
        own: Positions of the rows that are asked with (q,); live ones.
        recall: What is wanted of the k nearest, in (0, 1].
        k: Neighbours a query.
        live: For each block the rows that count, or None for all.
        device: Where exact search runs and candidates are measured.
        progress: Told how many points were measured.

    Raises:
        InputError: The recall is out of range, or there are no queries.
    """
    from simsearch.search.approximate import approximate
    from simsearch.search.exact import knn

    if not 0 < recall <= 1:
        raise InputError(f"recall is {recall} and must be above 0 and at most 1")
    if not len(own):
        raise InputError("there are no rows to measure the index by")
    queries = _rows(blocks, own)
    truth = _others(knn(queries, blocks, k=k + 1, metric=index.spec.metric, live=live, device=device), own, k)
    points: list[Point] = []
    for depth in _depths(index, k):
        for effort in index.efforts():
            began = time.perf_counter()
            found = approximate(queries, blocks, index, k=k + 1, effort=effort, depth=depth, live=live, device=device)
            rate = len(own) / max(time.perf_counter() - began, 1e-9)
            points.append(_point(effort, depth, _shares(truth, _others(found, own, k)), rate))
            progress(len(points))
            fastest = max(point.rate for point in points)
            if points[-1].recall >= _ENOUGH or points[-1].rate < fastest / _SLOWEST or _saturated(points):
                break
    good = [point for point in points if point.low >= recall]
    chosen = max(good, key=lambda point: point.rate) if good else None
    return Curve(k, len(own), recall, _undominated(points), chosen)


def _depths(index: Index, k: int) -> tuple[int, ...]:
    """Kinds that keep whole rows need no more candidates than a bound leaves open."""
    multiples = DEPTHS[:2] if index.spec.kind in ("flat", "ivf_flat", "hnsw") else DEPTHS
    return tuple(dict.fromkeys(min(max(k + 2, multiple * k), index.count) for multiple in multiples))


def _rows(blocks: Sequence[Block], positions: NDArray[np.int64]) -> NDArray[Any]:
    from simsearch.search.exact import as_array

    starts = np.cumsum([0, *(len(block) for block in blocks)])
    of_block = np.searchsorted(starts, positions, side="right") - 1
    rows = [as_array(blocks[b][p - starts[b]][None])[0] for b, p in zip(of_block, positions, strict=True)]
    return np.stack(rows)


def _others(found: Neighbours, own: NDArray[np.int64], k: int) -> NDArray[np.float32]:
    """Distances (q, k) to the nearest rows other than the query's own, infinite where there are fewer."""
    distances = np.where((found.positions == own[:, None]) | (found.positions < 0), np.inf, found.distances)
    nearest: NDArray[np.float32] = np.sort(distances, axis=1)[:, :k].astype(np.float32)
    return nearest


def _shares(truth: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of each query the share of true neighbours found (q,); any row as near as the k-th counts as one."""
    there = np.isfinite(truth)
    farthest = np.where(there, truth, -np.inf).max(axis=1, keepdims=True)
    hits = ((found <= farthest) & np.isfinite(found)).sum(axis=1)
    return np.where(there.any(axis=1), np.minimum(hits / np.maximum(there.sum(axis=1), 1), 1), 1)


def _point(effort: int, depth: int, shares: NDArray[np.float64], rate: float) -> Point:
    """The mean of shares varies at most as a share of so many queries would: its exact interval is on the safe side."""
    from simsearch.decide.intervals import clopper_pearson  # brings SciPy, which opening a library need not wait for

    total = float(shares.sum())
    low = clopper_pearson(math.floor(total), len(shares)).low
    high = clopper_pearson(math.ceil(total), len(shares)).high
    return Point(effort, depth, round(total / len(shares), 6), round(low, 6), round(high, 6), round(rate, 1))


def _saturated(points: Sequence[Point]) -> bool:
    """Whether the last two doublings of effort at this depth found nothing more."""
    last = [point.recall for point in points if point.depth == points[-1].depth][-3:]
    return len(last) == 3 and last[0] > 0.5 and last[-1] - last[0] < 1e-4


def _undominated(points: Sequence[Point]) -> tuple[Point, ...]:
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (-point.rate, -point.recall)):
        if not best or point.recall > best[-1].recall:
            best.append(point)
    return tuple(best)
