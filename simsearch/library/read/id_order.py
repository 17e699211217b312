"""Rows of segments by rising ids, so that ties by position are ties by id.

Ids rise within a segment, but an item that was replaced keeps its id in a later segment, behind higher ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from simsearch.library.format.snapshot import Snapshot


class RowRange(NamedTuple):
    """Consecutive rows of a channel in a segment.

    Attributes:
        segment: Its number in the snapshot.
        first: The first row.
        end: The row behind the last.
    """

    segment: int
    first: int
    end: int

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.end - self.first


def whole(snapshot: Snapshot, channel: str, numbers: Iterable[int]) -> list[RowRange]:
    """Return all rows of some segments, one row range each."""
    return [RowRange(s, 0, len(snapshot.segments[s].channels[channel].row)) for s in numbers]


def rising(snapshot: Snapshot, channel: str, numbers: Iterable[int]) -> list[list[RowRange]]:
    """Return the live rows of some segments in lists along which ids rise: one list where nothing was replaced."""
    waiting, lists = whole(snapshot, channel, numbers), []
    while waiting:
        highest, chosen, left = -1, list[RowRange](), list[RowRange]()
        for row_range in waiting:
            segment = snapshot.segments[row_range.segment]
            above = int(np.searchsorted(segment.ids, highest, side="right"))
            items = segment.channels[channel].item[row_range.first : row_range.end]
            cut = row_range.first + int(np.searchsorted(items, above))
            if (last := _last_live(snapshot, channel, row_range._replace(first=cut))) is not None:
                chosen.append(row_range._replace(first=cut))
                highest = last
            if _last_live(snapshot, channel, row_range._replace(end=cut)) is not None:
                left.append(row_range._replace(end=cut))
        lists.append(chosen)
        waiting = left
    return [chosen for chosen in lists if chosen]


def _last_live(snapshot: Snapshot, channel: str, row_range: RowRange) -> int | None:
    """Return the id of the last row of a live item."""
    if not row_range.rows:
        return None
    segment, removed = snapshot.segments[row_range.segment], snapshot.removed[row_range.segment]
    item = segment.channels[channel].item
    low, high = int(item[row_range.first]), int(item[row_range.end - 1])
    if removed is None or not removed[high]:
        return int(segment.ids[high])
    behind = removed[low : high + 1][::-1]
    dead = int(np.argmin(behind))
    return None if behind[dead] else int(segment.ids[high - dead])
