"""The items on whose keypoints a query agrees most: a search of witnesses, which have no distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.channel import Channel
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.group_copies import RowHits, SearchHit
from simsearch.library.read.open_indexes import OpenIndexes
from simsearch.library.read.search_plan import SearchPlan
from simsearch.spatial.points import views_of
from simsearch.spatial.second_look import places_agreeing
from simsearch.spatial.witness import POINT, Witness, points_of

_AT_ONCE = 4096  # items whose keypoints are unpacked at once
_LOOKED_AT = 200  # candidates of a query that are looked at, where there are tables of codes

Views = Mapping[str, Witness]


def by_places(rows: NDArray[Any], plan: SearchPlan, count: int) -> list[RowHits]:
    """Return the items that agree with each query on most places, ties to the lower id; none that agrees on none.

    Args:
        rows: (q, views x room), or (q, bytes) of plain views alone.
        plan: Of a channel of points.
        count: Items of a query at most.
    """
    limit = min(distance_of(1), np.inf if plan.max_distance is None else plan.max_distance)
    views = [views_of(row, plan.channel.dimension) for row in rows]
    live = _live(plan)
    tables = None if plan.exact or plan.resident is None else plan.resident.tables(plan.snapshot, plan.channel)
    if tables is None:
        hits = _among(views, np.flatnonzero(live), plan)
    else:
        most = max(_LOOKED_AT, count)
        hits = [_among([one], tables.candidates(one, most, live=live)[0], plan)[0] for one in views]
    near = [sorted(hit for hit in found if hit.distance <= limit)[:count] for found in hits]
    return [RowHits(tuple(found), certified=tables is None) for found in near]


def _among(views: Sequence[Views], items: NDArray[np.int64], plan: SearchPlan) -> list[list[SearchHit]]:
    """Return what a second look of each query says of items, by their numbers over all segments."""
    hits: list[list[SearchHit]] = [[] for _ in views]
    starts = np.cumsum([0, *map(len, plan.snapshot.segments)])
    for first in range(0, len(items), _AT_ONCE):
        some = items[first : first + _AT_ONCE]
        segments = np.searchsorted(starts, some, side="right") - 1
        places = [Place(s, p) for s, p in zip(segments.tolist(), (some - starts[segments]).tolist(), strict=True)]
        points = [points_at(plan, place) for place in places]
        for query, found in zip(views, hits, strict=True):
            distances = map(distance_of, places_agreeing(query, points).tolist())
            found += [SearchHit(d, plan.snapshot.id(p), p) for d, p in zip(distances, places, strict=True)]
    return hits


def distance_of(agreeing: int) -> float:
    """Return 1 / (1 + places that agree): 1 for none, near 0 for many."""
    return 1 / (1 + agreeing)


def places_of(distance: float) -> int:
    """Return the places that agree, from what `distance_of` told."""
    return round(1 / distance - 1)


def make_ready(resident: OpenIndexes, snapshot: Snapshot, channel: Channel) -> None:
    """Open or make the tables that a search of keypoints needs, and load its compiled passes."""
    tables, one = resident.tables(snapshot, channel), np.zeros(1, POINT)
    places_agreeing({"plain": one}, [one])
    if tables is not None:
        tables.candidates({"plain": one}, 1)


def points_at(plan: SearchPlan, place: Place) -> Witness:
    """Return the keypoints of an item, none where it has no row."""
    stored = plan.snapshot.row(place, plan.channel.name)
    return points_of(np.zeros(0, np.uint8) if stored is None else stored)


def _live(plan: SearchPlan) -> NDArray[np.bool_]:
    """Return which items, over all segments, may be found; each has one row."""
    masks = [(plan.live_rows(s), len(segment)) for s, segment in enumerate(plan.snapshot.segments)]
    return np.concatenate([np.zeros(0, np.bool_), *(np.ones(n, np.bool_) if m is None else m for m, n in masks)])
