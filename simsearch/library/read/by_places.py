"""The items on whose keypoints a query agrees most: a search of witnesses, which have no distance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place
from simsearch.library.read.group_copies import RowHits, SearchHit
from simsearch.library.read.search_plan import SearchPlan
from simsearch.spatial.points import views_of
from simsearch.spatial.second_look import places_agreeing
from simsearch.spatial.witness import Witness, points_of

_AT_ONCE = 4096  # items whose keypoints are unpacked at once


def by_places(rows: NDArray[Any], plan: SearchPlan, count: int) -> list[RowHits]:
    """Return the items that agree with each query on most places, ties to the lower id; none that agrees on none.

    Args:
        rows: (q, views x bytes), or (q, bytes) of plain views alone.
        plan: Of a channel of points.
        count: Items of a query at most.
    """
    limit = min(distance_of(1), np.inf if plan.max_distance is None else plan.max_distance)
    views = [views_of(row, plan.channel.dimension) for row in rows]
    hits: list[list[SearchHit]] = [[] for _ in views]
    places = _live_places(plan)
    while some := list(itertools.islice(places, _AT_ONCE)):
        items = [points_at(plan, place) for place in some]
        for query, found in zip(views, hits, strict=True):
            distances = map(distance_of, places_agreeing(query, items).tolist())
            near = [(d, place) for d, place in zip(distances, some, strict=True) if d <= limit]
            found += [SearchHit(d, plan.snapshot.id(place), place) for d, place in near]
    return [RowHits(tuple(sorted(found)[:count])) for found in hits]


def distance_of(agreeing: int) -> float:
    """Return 1 / (1 + places that agree): 1 for none, near 0 for many."""
    return 1 / (1 + agreeing)


def points_at(plan: SearchPlan, place: Place) -> Witness:
    """Return the keypoints of an item, none where it has no row."""
    stored = plan.snapshot.row(place, plan.channel.name)
    return points_of(np.zeros(0, np.uint8) if stored is None else stored)


def _live_places(plan: SearchPlan) -> Iterator[Place]:
    hidden = set(plan.hidden)
    for s, segment in enumerate(plan.snapshot.segments):
        live = plan.snapshot.live(s)
        if plan.min_quality > 0:
            quality = numbers(segment.items.column("quality"))[live]
            live = live[(quality < 0) | (quality >= plan.min_quality)]
        yield from (place for position in live.tolist() if (place := Place(s, position)) not in hidden)
