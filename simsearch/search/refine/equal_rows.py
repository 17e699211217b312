"""Rows that are stored many times, such as blank images: found by their bytes, so that one distance serves them all.

Of rows with the same bytes a search for the k nearest needs no more than the k that stand first, whatever the query.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEVERAL = 64
"""Rows of a query, above which searching for equal ones pays."""


def alike(rows: NDArray[Any]) -> NDArray[np.intp]:
    """Return for each row (n, d) the index of the first with the same bytes (n,).

    Example:
        >>> alike(np.array([[1, 2], [3, 4], [1, 2]], np.float16))
        array([0, 1, 0])
    """
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, i) for i, key in enumerate(_keys(rows))], np.intp)


class Repeats:
    """The rows that have been seen more than once, batch by batch in their order."""

    def __init__(self, k: int) -> None:
        """Start with no rows; those with k equals before them are left out."""
        self._k = k
        self._met: dict[bytes, int] = {}

    def beyond(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of further rows (n, d), in order, have been seen k times before (n,).

        A row that was alone in its batch is not counted.

        Example:
            >>> met = Repeats(2)
            >>> met.beyond(np.array([[1], [1], [2], [1]])), met.beyond(np.array([[1], [2], [1]]))
            (array([False, False, False,  True]), array([ True, False,  True]))
        """
        out = np.zeros(len(rows), np.bool_)
        for i, key in enumerate(_keys(rows)):
            count = self._met.get(key, 0)
            out[i] = count >= self._k
            self._met[key] = count + 1
        self._met = {key: count for key, count in self._met.items() if count > 1}
        return out


def _keys(rows: NDArray[Any]) -> Iterator[bytes]:
    return (row.tobytes() for row in np.ascontiguousarray(rows))
