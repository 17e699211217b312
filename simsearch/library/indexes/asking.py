"""How an index is asked for so many rows, and what it is known to find of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simsearch.library.indexes.curve import Curve, Point, Recall
from simsearch.library.indexes.record import IndexRecord
from simsearch.search.arguments import Order

_LEFT = 0.9  # of the rows that it was measured with: with fewer, no recall is told
_SCATTER = 2  # with fewer than that, ranks looked for as that many times as many: which are gone is chance
_MANY = 4  # times the candidates that make exact search the lesser work


@dataclass(frozen=True, slots=True)
class Asking:
    """A way of asking an index.

    Attributes:
        effort: Lists looked into, or nodes of the graph kept open.
        depth: Candidates of each query that are measured exactly.
        recall: What it finds; None where that was not measured.
    """

    effort: int
    depth: int
    recall: Recall | None


def asking(
    record: IndexRecord, efforts: Sequence[int], *, k: int, rows: int, live: int, order: Order | None = None
) -> Asking | None:
    """Return how to ask an index for the nearest live rows; None where exact search is the better way.

    Where rows were removed, the nearest that are left lie as far away as more neighbours did, and are looked for as
    these were: k as k / s, when a share s is left. As long as that is nine tenths, a recall is told: that of k / s.
    With less left, k is looked for as 2 k / s, since the k-th that is left may lie well beyond k / s.

    Of the same candidates exact order finds all of the nearest that are among them, and thus no less than that of
    float32, whose recall it tells; the recall of exact order says nothing of float32.

    Args:
        record: What was measured.
        efforts: What the index can be told, ascending.
        k: Neighbours whose recall is told.
        rows: Rows that are asked for, k or more.
        live: Rows of the index that count.
        order: What is chosen by; by default what was measured.
    """
    left = min(1.0, live / max(1, record.rows if record.live is None else record.live))
    if not live:
        return None
    alike = math.ceil((1 if left >= _LEFT else _SCATTER) * rows / left)
    curve = _reaching(record.curves, alike)
    if curve is None:
        return _beyond(record, efforts, alike=alike, rows=rows, live=live)
    way = _way(curve)
    if way.effort > efforts[-1]:  # of an index that GPUs search, which look into fewer lists
        return None
    if left < _LEFT:
        nearer = _reaching(record.curves, rows)
        return Asking(way.effort, _way(nearer or curve).depth, None)
    known = order in (None, "exact", record.order)
    share = curve.share(math.ceil(k / left)) if known else None
    return Asking(way.effort, way.depth, None if share is None else Recall(*share, k))


def _beyond(record: IndexRecord, efforts: Sequence[int], *, alike: int, rows: int, live: int) -> Asking | None:
    """More effort, and more candidates, in proportion to what was measured for the most neighbours."""
    curve = record.curves[-1]
    way = _way(curve)
    depth = min(max(way.depth, math.ceil(way.depth * rows / curve.k)), record.rows)
    if _MANY * depth >= live:
        return None
    wanted = way.effort * alike / curve.k
    return Asking(next((effort for effort in efforts if effort >= wanted), efforts[-1]), depth, None)


def _reaching(curves: Sequence[Curve], neighbours: int) -> Curve | None:
    """The first that was measured for so many."""
    return next((curve for curve in curves if curve.reach >= neighbours), None)


def _way(curve: Curve) -> Point:
    assert curve.chosen is not None  # a record has no other
    return curve.chosen
