"""Where two pictures overlap by the map of a second look, and what was done to one to make the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.spatial.second_look import SecondLook

Polygon = NDArray[np.float64]
Size = tuple[int, int]

WHOLE = 0.85  # of a picture's area, from which on it counts as whole
_STRAIGHT = 8.0  # degrees, up to which a picture counts as upright
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Overlap:
    """What a query and an item have in common.

    Attributes:
        in_query: Its outline in the query, (m, 2) in pixels.
        in_item: The same in the item.
        of_query: Share of the query's area.
        of_item: Share of the item's.
        edits: What was done, of `EDITS`; empty for a plain copy.
    """

    in_query: Polygon
    in_item: Polygon
    of_query: float
    of_item: float
    edits: tuple[str, ...]


EDITS = ("mirrored", "inverted", "turned", "cropped", "laid on another picture")
"""What an `Overlap` tells: by the last two the query shows a part of the item, or the item is a part of the query."""


def overlap(seen: SecondLook, size: Size, item_size: Size) -> Overlap | None:
    """Return where a query and an item overlap; None where there is no map, or they do not.

    Args:
        seen: The second look.
        size: Width and height of the query.
        item_size: Width and height of the item.
    """
    outline = seen.outline(size, item_size)
    if seen.chart is None or outline is None or not np.isfinite(outline).all():
        return None
    common = clipped(_frame(item_size), outline)
    if len(common) < 3 or abs(np.linalg.det(seen.chart[:, :2])) < _LEAST:
        return None
    back = np.linalg.inv(seen.chart[:, :2])
    in_query = (common / max(item_size) - seen.chart[:, 2]) @ back.T * max(size)
    if seen.view == "mirrored":
        in_query[:, 0] = size[0] - in_query[:, 0]
    of_query, of_item = (area(part) / math.prod(whole) for part, whole in ((in_query, size), (common, item_size)))
    done = [seen.view] if seen.view in EDITS else []
    if abs(seen.turned or 0.0) > _STRAIGHT:
        done.append("turned")
    done += [name for name, share in zip(EDITS[3:], (of_item, of_query), strict=True) if share < WHOLE]
    return Overlap(in_query, common, of_query, of_item, tuple(done))


def area(polygon: Polygon) -> float:
    """Return the area of a polygon (m, 2).

    Example:
        >>> area(_frame((4, 3)))
        12.0
    """
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def clipped(polygon: Polygon, window: Polygon) -> Polygon:
    """Return the part of a polygon within a convex window (Sutherland and Hodgman, "Reentrant polygon clipping", 1974).

    Args:
        polygon: Corners (m, 2).
        window: Corners (n, 2) in either direction.

    Example:
        >>> area(clipped(_frame((4, 4)), _frame((9, 9)) + 2))
        4.0
    """
    ends = np.roll(window, -1, axis=0)
    inside = np.sign(_turn(window[0], ends[0], window.mean(axis=0)))
    for start, end in zip(window, ends, strict=True):
        sides = [_turn(start, end, corner) * inside for corner in polygon]
        kept = []
        for i, corner in enumerate(polygon):
            before, side = sides[i - 1], sides[i]
            if (before < 0) != (side < 0):
                kept.append(polygon[i - 1] + (corner - polygon[i - 1]) * before / (before - side))
            if side >= 0:
                kept.append(corner)
        polygon = np.array(kept).reshape(-1, 2)
    return polygon


def _turn(start: NDArray[np.float64], end: NDArray[np.float64], point: NDArray[np.float64]) -> float:
    """Return on which side of a line a point lies, by the sign."""
    along, there = end - start, point - start
    return float(along[0] * there[1] - along[1] * there[0])


def _frame(size: Size) -> Polygon:
    wide, high = size
    return np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float64)
