"""What one channel says of a query and some items: distances of rows, or places on which keypoints agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import by_name, hamming
from simsearch.library.format.snapshot import Place
from simsearch.library.read.by_places import points_at
from simsearch.library.read.query import Query
from simsearch.library.read.search_plan import SearchPlan
from simsearch.spatial.points import views_of
from simsearch.spatial.second_look import places_agreeing
from simsearch.spatial.witness import PLACES


@dataclass(frozen=True, slots=True)
class Strengths:
    """What a channel says of m items.

    Attributes:
        values: (m,) distances or places, as they are shown.
        strengths: (m,) higher is rarer between strangers.
        views: The nearest view of the query, for each; None for the query as it is.
    """

    values: NDArray[np.float64]
    strengths: NDArray[np.float64]
    views: tuple[str | None, ...]


def strengths_of(
    plan: SearchPlan, query: Query, places: Sequence[Place], known: NDArray[np.float64] | None = None
) -> Strengths:
    """Return what a channel says of items; where keypoints were compared already, `known` (m,) are their places, or -1.

    The query must have been embedded, not rejected.
    """
    if plan.metric == PLACES:
        found = _agreeing(plan, query, places, np.full(len(places), -1.0) if known is None else known)
        return Strengths(found, found, (None,) * len(found))
    each = [plan.snapshot.parts(place, plan.channel.name) for place in places]  # every item has a row in every channel
    rows, asked = np.concatenate(each), np.stack(list(query.rows.values()))
    bits = plan.channel.bits
    apart = hamming(asked, rows, bits=bits) if plan.metric == "hamming" else by_name(plan.metric)(asked, rows)
    apart = np.minimum.reduceat(apart, np.cumsum([0, *map(len, each[:-1])]), axis=1)
    names = [None] if query.views is None else list(query.rows)
    views = tuple(names[i] if len(names) > 1 else None for i in apart.argmin(axis=0).tolist())
    nearest = apart.min(axis=0)
    return Strengths(nearest, -nearest, views)


def _agreeing(
    plan: SearchPlan, query: Query, places: Sequence[Place], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    found, others = known.copy(), np.flatnonzero(known < 0)
    assert query.row is not None  # else the query was rejected
    items = [points_at(plan, places[i]) for i in others.tolist()]
    found[others] = places_agreeing(views_of(query.row, plan.channel.dimension), items)
    return found
