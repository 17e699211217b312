"""The parameters with which an index is searched for so many rows, and their measured recall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simsearch.library.indexes.curve import Curve, CurvePoint, Recall
from simsearch.library.indexes.record import IndexRecord
from simsearch.search.arguments import Order

_LEFT = 0.9  # of the rows that it was measured with: with fewer, no recall is reported
_SCATTER = 2  # with fewer, ranks searched as that many times as many: which are gone is chance
_MANY = 4  # times the candidates for which exact search is less work


@dataclass(frozen=True, slots=True)
class SearchParameters:
    """The parameters of a search through an index.

    Attributes:
        effort: Lists probed, or nodes of the graph kept open.
        depth: Candidates of each query that are re-ranked.
        recall: As measured; None where it was not.
    """

    effort: int
    depth: int
    recall: Recall | None


def choose_parameters(
    record: IndexRecord, efforts: Sequence[int], *, k: int, rows: int, live: int, order: Order | None = None
) -> SearchParameters | None:
    """Return the parameters of a search for the nearest live rows; None where exact search is faster.

    Where rows were removed, the nearest that are left lie as far away as more neighbours did, and are searched as
    these were: k as k / s, when a share s is left. As long as that is nine tenths, the recall of k / s is reported.
    With less left, k is searched as 2 k / s, since the k-th that is left may lie well beyond k / s.

    Of the same candidates exact order finds no less than that of float32, whose recall it reports; the recall of
    exact order says nothing of float32.

    Args:
        record: Of the index, with its measurements.
        efforts: Of the index, ascending.
        k: Neighbours whose recall is reported.
        rows: Rows to be found, k or more.
        live: Number of live rows of the index.
        order: Of the candidates; by default as measured.
    """
    left = min(1.0, live / max(1, record.rows if record.live is None else record.live))
    if not live:
        return None
    alike = math.ceil((1 if left >= _LEFT else _SCATTER) * rows / left)
    curve = _reaching(record.curves, alike)
    if curve is None:
        return _beyond(record, efforts, alike=alike, rows=rows, live=live)
    way = _way(curve)
    if way.effort > efforts[-1]:  # of an index that GPUs search, which probe fewer lists
        return None
    if left < _LEFT:
        nearer = _reaching(record.curves, rows)
        return SearchParameters(way.effort, _way(nearer or curve).depth, None)
    known = order in (None, "exact", record.order)
    share = curve.share(math.ceil(k / left)) if known else None
    return SearchParameters(way.effort, way.depth, None if share is None else Recall(*share, k))


def _beyond(
    record: IndexRecord, efforts: Sequence[int], *, alike: int, rows: int, live: int
) -> SearchParameters | None:
    """Return more effort and candidates, in proportion to those measured for the largest k."""
    curve = record.curves[-1]
    way = _way(curve)
    depth = min(max(way.depth, math.ceil(way.depth * rows / curve.k)), record.rows)
    if _MANY * depth >= live:
        return None
    wanted = way.effort * alike / curve.k
    return SearchParameters(next((effort for effort in efforts if effort >= wanted), efforts[-1]), depth, None)


def _reaching(curves: Sequence[Curve], neighbours: int) -> Curve | None:
    """Return the first curve that was measured for so many."""
    return next((curve for curve in curves if curve.reach >= neighbours), None)


def _way(curve: Curve) -> CurvePoint:
    assert curve.chosen is not None  # a record has no other
    return curve.chosen
