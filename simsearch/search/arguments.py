"""The parameters of a search, checked."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.errors import InputError

Order = Literal["exact", "float32"]
"""By which the nearest of an index's candidates are selected; the selected ones are in exact order."""

_MOST = (1 << 31) - 1  # no answer could hold more
_INFINITE = np.float32(np.inf)
_BEYOND = 2.0**128  # what float32 would hold next to its largest number
MOST_DISTANT = float(np.finfo(np.float64).max)  # stands for distances that float64 cannot hold: infinity is no row


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """How many rows each query asks for, and how far they may be.

    Attributes:
        k: How many, at most.
        limit: The farthest, as `checked_limit` gives it.
        rounded: Distances are equal where they are so once rounded to float32, not only where they are in float64.
    """

    k: int
    limit: float
    rounded: bool = False

    def key(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the keys by which distances are ordered."""
        if not self.rounded:
            return distances
        with np.errstate(over="ignore"):
            rounded = np.minimum(distances.astype(np.float32).astype(np.float64), MOST_DISTANT)
        return np.where(distances < np.inf, rounded, np.inf)

    def no_farther(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return an upper bound of all distances that compare as no more than each of these, and than the limit."""
        return np.minimum(_above(distances) if self.rounded else distances, self.limit)


def checked_k(k: Any) -> int:
    """Return k as an int; any kind of integer is taken.

    Raises:
        InputError: It is none, below 1, or more than an answer can hold.

    Example:
        >>> checked_k(np.int64(3))
        3
        >>> checked_k(1.5)
        Traceback (most recent call last):
        simsearch.errors.InputError: k is 1.5 and must be a whole number, at least 1 and at most 2147483647
    """
    number = _whole(k)
    if number is None or not 1 <= number <= _MOST:
        raise InputError(f"k is {shown(k)} and must be a whole number, at least 1 and at most {_MOST}")
    return number


def checked_order(order: Any) -> Order | None:
    """Return an order, or None for the one that the index was measured with.

    Raises:
        InputError: There is none of that name.

    Example:
        >>> checked_order("float32"), checked_order(None)
        ('float32', None)
        >>> checked_order("float16")
        Traceback (most recent call last):
        simsearch.errors.InputError: order is 'float16' and must be one of 'exact', 'float32'
    """
    for known in get_args(Order):
        if isinstance(order, str) and order == known:
            return known  # type: ignore[no-any-return]
    if order is not None:
        raise InputError(f"order is {shown(order)} and must be one of {', '.join(map(repr, get_args(Order)))}")
    return None


def checked_radius(radius: Any, bits: int) -> int:
    """Return how many bits codes of that length may differ in; any kind of integer is taken, and cut to the length.

    Raises:
        InputError: It is none, or below 0.

    Example:
        >>> checked_radius(3, 64), checked_radius(10**30, 64)
        (3, 64)
    """
    number = _whole(radius)
    if number is None or number < 0:
        raise InputError(f"radius is {shown(radius)} and must be a whole number of at least 0")
    return min(number, bits)


def _whole(value: Any) -> int | None:
    try:
        return None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        return None


def checked_limit(max_distance: Any) -> float:
    """Return the distance beyond which nothing is found; infinity for None.

    A distance is within a limit where it is so once both are rounded to float32, as answers are: a distance that was
    reported finds its row again.

    Raises:
        InputError: It is below 0 or no number.

    Example:
        >>> checked_limit(None), checked_limit(0.1) >= float(np.float32(0.1)) > 0.1
        (inf, True)
    """
    if max_distance is None:
        return np.inf
    text = isinstance(max_distance, (str, bytes, bool, np.bool_))
    try:
        limit = np.nan if text or np.ndim(max_distance) else float(max_distance)
    except (TypeError, ValueError, OverflowError):
        limit = np.nan
    if not limit >= 0:
        raise InputError(f"max_distance is {shown(max_distance)} and must be a number of at least 0")
    return _reach_of(limit)


@lru_cache(maxsize=64)  # requests of one service have few limits
def _reach_of(limit: float) -> float:
    return float(reach(limit))


def _above(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the next float32 above each, itself rounded: all that round to the same are below it."""
    with np.errstate(over="ignore"):
        return np.nextafter(distances.astype(np.float32), _INFINITE).astype(np.float64)


def reach(distance: ArrayLike) -> NDArray[np.float64]:
    """Return the largest float64 that rounds to no more than each distance (any shape) does, in float32.

    Example:
        >>> float(reach(1.0)), float(reach(np.inf))
        (1.0000000596046448, inf)
    """
    with np.errstate(over="ignore"):
        rounded = np.asarray(distance, np.float64).astype(np.float32)
        above = np.nextafter(rounded, np.float32(np.inf)).astype(np.float64)
        halfway = (rounded + np.where(np.isinf(above), _BEYOND, above)) / 2
        down = halfway.astype(np.float32) == rounded  # a tie goes to the even one
    return np.where(down, halfway, np.nextafter(halfway, -np.inf))


def shown(value: Any) -> str:
    """Return a value on one short line, for a message."""
    try:
        text = repr(value)
    except Exception:  # a number of thousands of digits, or an object of the caller's
        text = f"a {type(value).__name__}"
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
