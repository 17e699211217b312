"""A second look at one candidate: do the keypoints of two pictures agree on how one lies in the other?"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.runtime.threads import pool, thread_count
from simsearch.spatial.witness import POINT, Witness

_AT_ONCE = 32  # items that a thread looks at

Unpacked = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What local structure says of a query and an item.

    Attributes:
        agreeing: Different places whose keypoints match and agree on one map; strangers have 3 at most, save a few.
        matched: Keypoints that match at all.
        view: As what the query was seen: plain, mirrored or inverted.
        chart: The affine map (2, 3) from the query (as seen) to the item, in units of the longer sides; None without
            two matches that agree.
    """

    agreeing: int
    matched: int
    view: str
    chart: NDArray[np.float64] | None

    def outline(self, size: tuple[int, int], item_size: tuple[int, int]) -> NDArray[np.float64] | None:
        """Return the corners (4, 2) of the query in the item, in pixels of the item; None where there is no map.

        Args:
            size: Width and height of the query.
            item_size: Width and height of the item.
        """
        if self.chart is None:
            return None
        wide, high = (side / max(size) for side in size)
        corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]])
        return (corners @ self.chart[:, :2].T + self.chart[:, 2]) * max(item_size)

    @property
    def turned(self) -> float | None:
        """Degrees by which the query is turned in the item, clockwise, -180 to 180; None where there is no map."""
        if self.chart is None:
            return None
        return math.degrees(math.atan2(self.chart[1, 0] - self.chart[0, 1], self.chart[0, 0] + self.chart[1, 1]))


def look(views: Mapping[str, Witness], item: Witness) -> SecondLook:
    """Compare a query with an item, in the view in which most agrees.

    Args:
        views: The query's witnesses by the name of the view, as `query_witnesses` gives them.
        item: The item's witness.
    """
    from simsearch.spatial.geometry_kernels import agreement

    other, best = unpacked(item), SecondLook(0, 0, next(iter(views), ""), None)
    for name, points in views.items():
        chart, matches = np.zeros((2, 3)), np.zeros((len(points), 2), np.int64)
        matched, _, agreeing = agreement(unpacked(points), other, matches, chart)
        if agreeing > best.agreeing or (agreeing == best.agreeing == 0 and matched > best.matched):
            best = SecondLook(agreeing, matched, name, chart if agreeing >= 2 else None)
    return best


def places_agreeing(views: Mapping[str, Witness], items: Sequence[Witness]) -> NDArray[np.int64]:
    """Return on how many places a query agrees with each of some items, (n,), in the view in which that is most."""
    from simsearch.spatial.geometry_kernels import agreements

    found = np.zeros(len(items), np.int64)
    others = unpacked(np.concatenate([np.zeros(0, POINT), *items]))
    ends = np.cumsum([0, *map(len, items)])
    asked = [unpacked(points) for points in views.values()]

    def fill(first: int) -> None:
        last = min(first + _AT_ONCE, len(items))
        for query in asked:
            agreements(query, others, ends[first : last + 1], found[first:last])

    deque(pool(thread_count(None)).map(fill, range(0, len(items), _AT_ONCE)), maxlen=0)
    return found


def unpacked(points: Witness) -> Unpacked:
    """Return places (n, 2), logarithms of scales (n,), directions (n,) in radians, and descriptors (n, 2)."""
    columns: Any = points
    places = np.stack([columns["x"], columns["y"]], axis=1) / 65536
    scales = columns["size"] * (-math.log(2) / 32)
    return places, scales, columns["angle"] * (math.tau / 256), np.ascontiguousarray(columns["bits"])
