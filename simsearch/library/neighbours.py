"""From rows to the items nearest to them in a snapshot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import RowError
from simsearch.library.channel import Channel
from simsearch.library.matches import Match, as_text
from simsearch.library.snapshot import Place, Snapshot


def nearest(
    snapshot: Snapshot,
    channel: Channel,
    rows: NDArray[Any],
    *,
    k: int,
    metric: str,
    max_distance: float | None = None,
    device: str = "auto",
) -> list[tuple[Match, ...]]:
    """Return the k nearest live items of each of the rows (q, d), nearest first, ties to the lower id."""
    from simsearch.search.exact import knn

    blocks = [segment.channels[channel.name].row for segment in snapshot.segments]
    if not len(rows) or not sum(map(len, blocks)):
        return [()] * len(rows)
    live = [snapshot.live_rows(s, channel.name) for s in range(len(blocks))]
    parts = max(segment.channels[channel.name].parts for segment in snapshot.segments)
    most = min(k * parts, sum(map(len, blocks)))
    found = knn(rows, blocks, k=most, metric=metric, live=live, max_distance=max_distance, device=device)
    starts = np.cumsum([0, *map(len, blocks)])
    return [
        _matches(snapshot, channel.name, starts, distances, positions)[:k]
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
