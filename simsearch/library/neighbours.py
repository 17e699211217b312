"""From rows to the items nearest to them in a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError, RowError
from simsearch.library.channel import Channel
from simsearch.library.matches import Match, as_text
from simsearch.library.snapshot import Place, Snapshot


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What is searched, and how.

    Attributes:
        snapshot: The commit.
        channel: Whose rows.
        k: Matches a query.
        metric: The distance.
        max_distance: What is farther is left out.
        device: Where.
    """

    snapshot: Snapshot
    channel: Channel
    k: int
    metric: str
    max_distance: float | None = None
    device: str = "auto"


def nearest(rows: NDArray[Any], plan: SearchPlan) -> list[tuple[Match, ...]]:
    """Return the nearest live items of each of the rows (q, d), nearest first, ties to the lower id."""
    from simsearch.search.exact import knn

    snapshot, name = plan.snapshot, plan.channel.name
    blocks = [segment.channels[name].row for segment in snapshot.segments]
    total = sum(map(len, blocks))
    if not len(rows) or not total:
        return [()] * len(rows)
    live = [snapshot.live_rows(s, name) for s in range(len(blocks))]
    most = min(plan.k * max(segment.channels[name].parts for segment in snapshot.segments), total)
    found = knn(rows, blocks, k=most, metric=plan.metric, live=live, max_distance=plan.max_distance, device=plan.device)
    starts = np.cumsum([0, *map(len, blocks)])
    return [
        _matches(snapshot, name, starts, distances, positions)[: plan.k]
        for distances, positions in zip(found.distances, found.positions, strict=True)
    ]


def _matches(
    snapshot: Snapshot,
    channel: str,
    starts: NDArray[np.intp],
    distances: NDArray[np.float32],
    positions: NDArray[np.int64],
) -> tuple[Match, ...]:
    """The items of row positions, each once, at its nearest part."""
    best: dict[int, Match] = {}
    for distance, position in zip(distances.tolist(), positions.tolist(), strict=True):
        if position < 0:
            break
        s = int(np.searchsorted(starts, position, side="right")) - 1
        place = Place(s, int(snapshot.segments[s].channels[channel].item[position - starts[s]]))
        number = snapshot.id(place)
        if number not in best:
            path = snapshot.path(place)
            text, encoded = (f"id:{number}", None) if path is None else as_text(path)
            best[number] = Match(number, text, encoded, distance)
    return tuple(sorted(best.values(), key=lambda match: (match.distance, match.id)))


def checked_rows(rows: NDArray[Any], channel: Channel, metric: str) -> NDArray[Any]:
    """Return query rows in the channel's dtype: (q, d).

    Raises:
        RowError: a row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
        MetricError: the metric is not defined on these rows.
    """
    from simsearch.distance import check_rows

    rows = np.asarray(rows)
    rows = rows[None] if rows.ndim == 1 else rows
    if channel.numpy_dtype == np.uint8 and rows.dtype != np.uint8:
        raise RowError(f"rows are {rows.dtype}; channel {channel.name!r} holds uint8")
    check_rows(rows, dimension=channel.dimension, metric=metric, what="row")
    rounded = channel.round(rows)
    check_rows(rounded, dimension=channel.dimension, metric=metric, what=f"row (as {channel.dtype})")
    return rounded


def checked_k(k: int) -> int:
    """Return k.

    Raises:
        InputError: it is below 1.
    """
    if k < 1:
        raise InputError(f"k is {k} and must be at least 1")
    return k
