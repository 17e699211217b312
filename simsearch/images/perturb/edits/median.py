"""The exact median filter by networks of minimum and maximum, which work on whole arrays at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_STRIP_BYTES = 1 << 16  # of one array; the size^2 arrays of a strip stay in a core's cache

Bytes = NDArray[np.uint8]


def median_filter(values: Bytes, size: int) -> Bytes:
    """Return the array with each element replaced by the median of its size x size square, borders replicated.

    Args:
        values: (h, w) or (h, w, c) uint8; channels are filtered apart.
        size: Side of the square, odd.

    Returns:
        Array of the same shape.

    Reference:
        Batcher, "Sorting networks and their applications", 1968; forgetful selection: Devillard, "Fast median search:
        an ANSI C implementation", 1998.

    Example:
        >>> median_filter(np.array([[1, 2, 9], [3, 4, 5], [6, 7, 8]], np.uint8), 3)[1, 1]
        np.uint8(5)
    """
    edge = size // 2
    padded = np.pad(values, [(edge, edge), (edge, edge), *[(0, 0)] * (values.ndim - 2)], mode="edge")
    out = np.empty_like(values)
    height = max(1, _STRIP_BYTES // max(1, padded[0].size))
    for top in range(0, len(values), height):
        out[top : top + height] = _median_of_strip(padded[top : top + height + 2 * edge], size)
    return out


def _median_of_strip(strip: Bytes, size: int) -> Bytes:
    height, width = strip.shape[0] - size + 1, strip.shape[1] - size + 1
    columns = _sorted([strip[i : i + height].copy() for i in range(size)])
    candidates = []
    for i, rank in enumerate(columns):
        row = _sorted([rank[:, j : j + width].copy() for j in range(size)])
        candidates += [cell for j, cell in enumerate(row) if _may_be_median(i, j, size)]
    return _median(candidates)


def _may_be_median(i: int, j: int, size: int) -> bool:
    """Return whether too few cells of the square, sorted along both axes, are certainly above or below cell (i, j)."""
    middle = (size * size + 1) // 2
    return (i + 1) * (j + 1) <= middle and (size - i) * (size - j) <= middle


def _median(cells: list[Bytes]) -> Bytes:
    """Return the median of an odd number of arrays: drop the extremes of just over half of them, add one, repeat."""
    held, waiting = cells[: len(cells) // 2 + 2], cells[len(cells) // 2 + 2 :]
    while len(held) > 1:
        last = len(held) - 1
        half = len(held) // 2
        for i in range(half):
            _order(held, i, last - i)
        for i in range(1, last + 1 - half):
            _order(held, 0, i)
        for i in range(half, last):
            _order(held, i, last)
        held = held[1:last]
        held += waiting[:1]
        waiting = waiting[1:]
    return held[0]


def _sorted(cells: list[Bytes]) -> list[Bytes]:
    for i, j in _network(len(cells)):
        _order(cells, i, j)
    return cells


def _order(cells: list[Bytes], i: int, j: int) -> None:
    lower = np.minimum(cells[i], cells[j])
    np.maximum(cells[i], cells[j], out=cells[j])
    cells[i] = lower


def _network(n: int) -> Iterator[tuple[int, int]]:
    """Yield the comparators of Batcher's odd-even merge sort of n values."""
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(j, min(j + k, n - k)):
                    if i // (2 * p) == (i + k) // (2 * p):
                        yield i, i + k
            k //= 2
        p *= 2
