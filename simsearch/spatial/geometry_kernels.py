"""Compiled passes that match the keypoints of two pictures and find the map that most matches agree on.

A keypoint has a place, a scale and a direction, so that a single match already says how one picture would lie in the
other (Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", 2004): each match is a hypothesis, none is
drawn by chance, and the same pair of pictures has the same answer always.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simsearch.runtime.jit import compiled
from simsearch.search.hamming.kernels import popcount

_FARTHEST = 40  # bits of 128 in which a match may differ
_RATIO = 0.85  # of the second nearest's bits, below which the nearest is a match
_NEAR = 0.0125  # of the longer side: how far a match may lie from where the map puts it
_CONE = 0.12  # more for each unit of distance from the match that makes the hypothesis
_SCALE = 0.45  # natural logarithm by which scales may differ
_TURN = 0.5  # radians by which directions may differ
_APART = 0.02  # of the longer side: closer keypoints count once
_AFFINE = 6  # matches from which on the map may shear
_ROUNDS = 3
_EMPTY = 1e-12


@compiled("second look")
def agreement(query: Any, item: Any, matches: NDArray[np.int64], chart: NDArray[np.float64]) -> Any:
    """Match two pictures, and find the affine map that most matches agree on.

    Args:
        query: Places (n, 2), logarithms of scales (n,), directions (n,) float64, and descriptors (n, 2) uint64.
        item: The same of the other picture.
        matches: (n, 2) int64, written: keypoints of both that agree with the map.
        chart: (2, 3) float64, written: from places of the query to places of the item.

    Returns:
        How many matches there are, how many of them agree, and how many different places these have in both.
    """
    pairs = _matched(query[3], item[3])
    if len(pairs) < 2:
        return len(pairs), 0, 0
    agree = np.zeros(len(pairs), np.bool_)
    best_hypothesis(query, item, pairs, np.ones(len(pairs)), agree)
    for turn in range(_ROUNDS):
        count = agree.sum()
        if count < 2:
            break
        _fit(query[0], item[0], pairs, agree, count >= _AFFINE, chart)
        _judge(query, item, pairs, chart, _NEAR * (1.5 if turn == 0 else 1.0), agree)
    kept = 0
    for i in range(len(pairs)):
        if agree[i]:
            matches[kept] = pairs[i]
            kept += 1
    places = min(_places(query[0], matches[:kept, 0]), _places(item[0], matches[:kept, 1]))
    return len(pairs), kept, places


@compiled("second looks")
def agreements(query: Any, items: Any, ends: NDArray[np.int64], agreeing: NDArray[np.int64]) -> None:
    """Write on how many places a query agrees with each of many pictures.

    Args:
        query: As of `agreement`.
        items: The same of all pictures behind each other.
        ends: (n + 1,) where the keypoints of each begin, and the last end.
        agreeing: (n,) int64, the number of places, raised where this query agrees on more.
    """
    chart = np.zeros((2, 3))
    matches = np.zeros((len(query[2]), 2), np.int64)
    for i in range(len(agreeing)):
        first, end = ends[i], ends[i + 1]
        item = (items[0][first:end], items[1][first:end], items[2][first:end], items[3][first:end])
        agreeing[i] = max(agreeing[i], agreement(query, item, matches, chart)[2])


@njit(nogil=True)
def _matched(query: NDArray[np.uint64], item: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs (m, 2) of a keypoint and its nearest, where that is near and the second nearest is much farther."""
    pairs, count = np.empty((len(query), 2), np.int64), 0
    for i in range(len(query)):
        one, other = query[i, 0], query[i, 1]
        nearest = second = np.int64(2 * 64 + 1)
        place = -1
        for j in range(len(item)):
            bits = np.int64(popcount(one ^ item[j, 0])) + np.int64(popcount(other ^ item[j, 1]))
            if bits < nearest:
                nearest, second, place = bits, nearest, j
            elif bits < second:
                second = bits
        if nearest <= _FARTHEST and nearest < _RATIO * second:
            pairs[count, 0], pairs[count, 1] = i, place
            count += 1
    return pairs[:count]


@njit(nogil=True)
def best_hypothesis(
    query: Any, item: Any, pairs: NDArray[np.int64], weights: NDArray[np.float64], agree: NDArray[np.bool_]
) -> float:
    """Write which matches agree with the one that most weight agrees with, and return how much that is.

    They lie within a cone around where its map puts them.
    """
    (places, scales, turns, _), (ends, end_scales, end_turns, _) = query, item
    some, most = np.zeros(len(pairs), np.bool_), 0.0
    for h in range(len(pairs)):
        i, j = pairs[h]
        scale, turn = end_scales[j] - scales[i], end_turns[j] - turns[i]
        size = math.exp(scale)
        cosine, sine = size * math.cos(turn), size * math.sin(turn)
        count = 0.0
        for g in range(len(pairs)):
            a, b = pairs[g]
            x, y = places[a, 0] - places[i, 0], places[a, 1] - places[i, 1]
            right = cosine * x - sine * y + ends[j, 0] - ends[b, 0]
            down = sine * x + cosine * y + ends[j, 1] - ends[b, 1]
            near = _NEAR + _CONE * size * math.sqrt(x * x + y * y)
            close = right * right + down * down < near * near
            some[g] = close and _alike(end_scales[b] - scales[a] - scale, end_turns[b] - turns[a], turn)
            count += weights[g] * some[g]
        if count > most:
            most = count
            agree[:] = some
    return most


@njit(nogil=True)
def _alike(scale: float, one: float, other: float) -> bool:
    """Tell whether a match's scale, a logarithm beside the map's, and its turn are those of the map, about."""
    turn = (one - other) % (2 * math.pi)
    return abs(scale) < _SCALE and min(turn, 2 * math.pi - turn) < _TURN


@njit(nogil=True)
def _fit(  # noqa: PLR0917
    places: NDArray[np.float64],
    ends: NDArray[np.float64],
    pairs: NDArray[np.int64],
    agree: NDArray[np.bool_],
    affine: bool,
    chart: NDArray[np.float64],
) -> None:
    """Write the map of least squares: a similarity, or any affine one where the places are not in a line."""
    count = 0.0
    middle, end = np.zeros(2), np.zeros(2)
    for g in range(len(pairs)):
        if agree[g]:
            count += 1
            middle += places[pairs[g, 0]]
            end += ends[pairs[g, 1]]
    middle /= count
    end /= count
    xx = xy = yy = ux = uy = vx = vy = 0.0
    for g in range(len(pairs)):
        if agree[g]:
            x, y = places[pairs[g, 0], 0] - middle[0], places[pairs[g, 0], 1] - middle[1]
            u, v = ends[pairs[g, 1], 0] - end[0], ends[pairs[g, 1], 1] - end[1]
            xx, xy, yy = xx + x * x, xy + x * y, yy + y * y
            ux, uy, vx, vy = ux + u * x, uy + u * y, vx + v * x, vy + v * y
    spread = xx * yy - xy * xy
    if affine and spread > 0.01 * (xx + yy) * (xx + yy):
        chart[0, 0], chart[0, 1] = (ux * yy - uy * xy) / spread, (uy * xx - ux * xy) / spread
        chart[1, 0], chart[1, 1] = (vx * yy - vy * xy) / spread, (vy * xx - vx * xy) / spread
    else:
        cosine, sine = (ux + vy) / (xx + yy + _EMPTY), (vx - uy) / (xx + yy + _EMPTY)
        chart[0, 0], chart[0, 1], chart[1, 0], chart[1, 1] = cosine, -sine, sine, cosine
    chart[0, 2] = end[0] - chart[0, 0] * middle[0] - chart[0, 1] * middle[1]
    chart[1, 2] = end[1] - chart[1, 0] * middle[0] - chart[1, 1] * middle[1]


@njit(nogil=True)
def _judge(  # noqa: PLR0917
    query: Any,
    item: Any,
    pairs: NDArray[np.int64],
    chart: NDArray[np.float64],
    near: float,
    agree: NDArray[np.bool_],
) -> None:
    """Write which matches agree with a map: in place, scale and direction."""
    (places, scales, turns, _), (ends, end_scales, end_turns, _) = query, item
    area = abs(chart[0, 0] * chart[1, 1] - chart[0, 1] * chart[1, 0])
    scale = 0.5 * math.log(max(area, _EMPTY))
    turn = math.atan2(chart[1, 0] - chart[0, 1], chart[0, 0] + chart[1, 1])
    for g in range(len(pairs)):
        a, b = pairs[g]
        x, y = places[a]
        right = chart[0, 0] * x + chart[0, 1] * y + chart[0, 2] - ends[b, 0]
        down = chart[1, 0] * x + chart[1, 1] * y + chart[1, 2] - ends[b, 1]
        close = right * right + down * down < near * near
        agree[g] = close and _alike(end_scales[b] - scales[a] - scale, end_turns[b] - turns[a], turn)


@njit(nogil=True)
def _places(places: NDArray[np.float64], some: NDArray[np.int64]) -> int:
    """How many of some keypoints lie apart from those before them."""
    count = 0
    for i in range(len(some)):
        alone = True
        for j in range(i):
            x, y = places[some[i], 0] - places[some[j], 0], places[some[i], 1] - places[some[j], 1]
            if x * x + y * y < _APART * _APART:
                alone = False
                break
        count += alone
    return count
