"""Compiled passes that find and describe keypoints in one level of a pyramid; all sums are of integers.

Corners are peaks of the smaller eigenvalue of the gradients' second moments (Shi and Tomasi, "Good Features to Track",
1994), spread by suppression within the largest radius that leaves enough (Brown, Szeliski and Winder, "Multi-Image
Matching using Multi-Scale Oriented Patches", 2005). Their direction is that of the patch's centroid, and their
descriptor 128 comparisons of means at places turned by it (Rublee et al., "ORB: An Efficient Alternative to SIFT or
SURF", 2011; Calonder et al., "BRIEF", 2010), chosen so that strangers differ in as many bits as can be.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simsearch.runtime.jit import compiled

RADIUS = 15  # of a patch, pixels of its level
BITS = 128
BORDER = RADIUS + 3  # pixels in which no keypoint lies
_BISECTIONS = 9  # of the radius of suppression
_LEAST = 50.0  # eigenvalue below which a place is flat
SEED = 20261130
_MOST_PEAKS = 8192
_DRAWN = 3000  # pairs of places, of which those stay that say most together
# fmt: off
CHOSEN = (  # of the drawn pairs: those of which `scripts/choose_pairs.py` says that they tell most apart
    17, 22, 44, 53, 64, 80, 111, 115, 124, 132, 155, 157, 163, 202, 216, 223, 230, 255, 285, 317, 322, 346, 348,
    350, 394, 473, 477, 485, 486, 529, 541, 547, 579, 604, 659, 668, 702, 728, 729, 796, 825, 838, 864, 946, 961,
    996, 1003, 1028, 1080, 1082, 1086, 1091, 1097, 1098, 1128, 1140, 1157, 1169, 1181, 1185, 1222, 1227, 1257, 1308,
    1335, 1379, 1390, 1392, 1464, 1472, 1492, 1517, 1526, 1529, 1592, 1693, 1706, 1714, 1749, 1768, 1800, 1823,
    1831, 1862, 1905, 1950, 1997, 2016, 2073, 2075, 2076, 2104, 2126, 2135, 2143, 2170, 2191, 2215, 2228, 2229,
    2255, 2291, 2298, 2315, 2340, 2344, 2346, 2358, 2420, 2495, 2500, 2509, 2512, 2528, 2593, 2596, 2683, 2709,
    2718, 2753, 2773, 2805, 2836, 2857, 2971, 2975, 2978, 2989,
)
# fmt: on


def drawn_pairs() -> NDArray[np.float64]:
    """Return pairs of places (3000, 4) that could be compared: x, y, x, y, Gaussian around the centre of a patch."""
    pairs = np.random.default_rng(SEED).normal(0, RADIUS / 2.2, (3 * _DRAWN, 4)).round(1)
    inside = (np.hypot(pairs[:, ::2], pairs[:, 1::2]) < RADIUS - 2).all(axis=1)
    apart = np.hypot(*(pairs[:, :2] - pairs[:, 2:]).T) > 4
    kept: NDArray[np.float64] = pairs[inside & apart][:_DRAWN]
    return kept


PATTERN = drawn_pairs()[list(CHOSEN)]


@compiled("keypoints")
def keypoints(luma: NDArray[np.uint8], count: int, pattern: NDArray[np.float64], out: Any, bits: Any) -> int:
    """Write the keypoints of a level, and return how many there are.

    Args:
        luma: (h, w) uint8, both sides above 2 x `BORDER`.
        count: Most keypoints that are wanted.
        pattern: `PATTERN`.
        out: (count, 3) float64: x, y in pixels of the level, and direction in radians.
        bits: (count, 2) uint64: descriptors.
    """
    if count == 0:
        return 0
    corners, means = _corners(luma)
    places, strengths = _peaks(corners)
    order = np.argsort(-strengths, kind="mergesort")
    chosen = _spread(places[order], count)
    for i in range(len(chosen)):
        y, x = places[order[chosen[i]]]
        angle = _direction(luma, y, x)
        out[i, 0], out[i, 1], out[i, 2] = x, y, angle
        _compare(means, y, x, angle, pattern, bits[i])
    return len(chosen)


@njit(nogil=True)
def _corners(luma: NDArray[np.uint8]) -> Any:
    """Smaller eigenvalues of second moments over 5 x 5 places (h, w) float32, and sums of 5 x 5 pixels (h, w) int32.

    Sums over five lines roll: what the line that comes has is added, what the one that goes had is taken off.
    """
    high, wide = luma.shape
    corners, means = np.zeros((high, wide), np.float32), np.zeros((high, wide), np.int32)
    lines = np.zeros((5, 4, wide), np.int32)  # the last five: products of gradients, and pixels
    sums = np.zeros((4, wide), np.int32)
    smooth, change = np.zeros(wide, np.int32), np.zeros(wide, np.int32)
    for y in range(high):
        line = lines[y % 5]
        for m in range(4):
            for x in range(wide):
                sums[m, x] -= line[m, x]
        _fill(luma, y, smooth, change, line)
        for m in range(4):
            for x in range(wide):
                sums[m, x] += line[m, x]
        if 5 <= y < high - 1:
            _eigenvalues(sums, corners[y - 2], means[y - 2])
    return corners, means


@njit(nogil=True)
def _fill(luma: NDArray[np.uint8], y: int, smooth: Any, change: Any, line: NDArray[np.int32]) -> None:
    """Write the products of the gradients (Sobel's) at a line, none at an edge, and its pixels."""
    wide = luma.shape[1]
    here = luma[y]
    for x in range(wide):
        line[3, x] = here[x]
    if y in (0, luma.shape[0] - 1):
        line[:3] = 0
        return
    above, below = luma[y - 1], luma[y + 1]
    for x in range(wide):
        smooth[x] = np.int32(above[x]) + 2 * np.int32(here[x]) + np.int32(below[x])
        change[x] = np.int32(below[x]) - np.int32(above[x])
    left, right = smooth[: wide - 2], smooth[2:]
    one, two, three = change[: wide - 2], change[1 : wide - 1], change[2:]
    xx, yy, xy = line[0][1 : wide - 1], line[1][1 : wide - 1], line[2][1 : wide - 1]
    for x in range(wide - 2):
        across, down = right[x] - left[x], one[x] + 2 * two[x] + three[x]
        xx[x], yy[x], xy[x] = across * across, down * down, across * down


@njit(nogil=True)
def _eigenvalues(sums: NDArray[np.int32], corners: NDArray[np.float32], means: NDArray[np.int32]) -> None:
    """Write a line of the results, from the sums of five lines."""
    for x in range(3, len(means) - 3):
        xx, yy = np.float64(_five(sums[0], x)), np.float64(_five(sums[1], x))
        xy = np.float64(_five(sums[2], x))
        corners[x] = 0.5 * (xx + yy - math.sqrt((xx - yy) * (xx - yy) + 4 * xy * xy))
        means[x] = _five(sums[3], x)


@njit(nogil=True)
def _five(line: NDArray[np.int32], x: int) -> Any:
    return line[x - 2] + line[x - 1] + line[x] + line[x + 1] + line[x + 2]


@njit(nogil=True)
def _peaks(corners: NDArray[np.float32]) -> Any:
    """Places (n, 2) int64, y and x, that are higher than the eight around them, and their values (n,)."""
    high, wide = corners.shape
    places, strengths, count = np.empty((_MOST_PEAKS, 2), np.int64), np.empty(_MOST_PEAKS, np.float32), 0
    for y in range(BORDER, high - BORDER):
        for x in range(BORDER, wide - BORDER):
            value = corners[y, x]
            if value < _LEAST or count == _MOST_PEAKS:
                continue
            before = max(corners[y - 1, x - 1], corners[y - 1, x], corners[y - 1, x + 1], corners[y, x - 1])
            after = max(corners[y, x + 1], corners[y + 1, x - 1], corners[y + 1, x], corners[y + 1, x + 1])
            if value > before and value >= after:
                places[count, 0], places[count, 1], strengths[count] = y, x, value
                count += 1
    return places[:count], strengths[:count]


@njit(nogil=True)
def _spread(places: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions of at most `count` places, the strongest first, each farther from those before it than a radius."""
    best = np.arange(min(count, len(places)))
    low, high = 0.0, 256.0
    for _ in range(_BISECTIONS):
        radius = (low + high) / 2
        chosen, taken = np.empty(count, np.int64), 0
        for i in range(len(places)):
            apart = True
            for j in range(taken):
                down, right = places[i, 0] - places[chosen[j], 0], places[i, 1] - places[chosen[j], 1]
                if down * down + right * right < radius * radius:
                    apart = False
                    break
            if apart:
                chosen[taken] = i
                taken += 1
                if taken == count:
                    break
        if taken == count:
            best, low = chosen, radius
        else:
            high = radius
    return best


@njit(nogil=True)
def _direction(luma: NDArray[np.uint8], y: int, x: int) -> float:
    """Return the angle from the centre of a patch to its centroid, radians."""
    right = down = np.int64(0)
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            if dx * dx + dy * dy <= RADIUS * RADIUS:
                value = np.int64(luma[y + dy, x + dx])
                right += dx * value
                down += dy * value
    return math.atan2(float(down), float(right))


@njit(nogil=True)
def _compare(  # noqa: PLR0917
    means: NDArray[np.int32], y: int, x: int, angle: float, pattern: NDArray[np.float64], bits: Any
) -> None:
    """Write which of two places of each pair, turned by an angle, is darker: 128 bits."""
    cosine, sine = math.cos(angle), math.sin(angle)
    for word in range(BITS // 64):
        value = np.uint64(0)
        for bit in range(64):
            a, b, u, v = pattern[64 * word + bit]
            one = means[y + round(sine * a + cosine * b), x + round(cosine * a - sine * b)]
            other = means[y + round(sine * u + cosine * v), x + round(cosine * u - sine * v)]
            if one < other:
                value |= np.uint64(1) << np.uint64(bit)
        bits[word] = value
