"""Rows of segments by rising ids, so that what goes by position goes by id.

Ids rise within a segment, but an item that was replaced keeps its id and stands in a later segment, behind higher ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from simsearch.library.format.snapshot import Snapshot


class Stretch(NamedTuple):
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


def whole(snapshot: Snapshot, channel: str, numbers: Iterable[int]) -> list[Stretch]:
    """Return all rows of some segments, one stretch each."""
    return [Stretch(s, 0, len(snapshot.segments[s].channels[channel].row)) for s in numbers]


def rising(snapshot: Snapshot, channel: str, numbers: Iterable[int]) -> list[list[Stretch]]:
    """Return the live rows of some segments in lists along which ids rise: one list where nothing was replaced."""
    waiting, lists = whole(snapshot, channel, numbers), []
    while waiting:
        highest, chosen, left = -1, list[Stretch](), list[Stretch]()
        for stretch in waiting:
            segment = snapshot.segments[stretch.segment]
            above = int(np.searchsorted(segment.ids, highest, side="right"))
            items = segment.channels[channel].item[stretch.first : stretch.end]
            cut = stretch.first + int(np.searchsorted(items, above))
            if (last := _last_live(snapshot, channel, stretch._replace(first=cut))) is not None:
                chosen.append(stretch._replace(first=cut))
                highest = last
            if _last_live(snapshot, channel, stretch._replace(end=cut)) is not None:
                left.append(stretch._replace(end=cut))
        lists.append(chosen)
        waiting = left
    return [chosen for chosen in lists if chosen]


def _last_live(snapshot: Snapshot, channel: str, stretch: Stretch) -> int | None:
    """The id of the last row of a live item."""
    if not stretch.rows:
        return None
    segment, removed = snapshot.segments[stretch.segment], snapshot.removed[stretch.segment]
    item = segment.channels[channel].item
    low, high = int(item[stretch.first]), int(item[stretch.end - 1])
    if removed is None or not removed[high]:
        return int(segment.ids[high])
    behind = removed[low : high + 1][::-1]
    dead = int(np.argmin(behind))
    return None if behind[dead] else int(segment.ids[high - dead])
