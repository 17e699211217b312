"""The numbers that a search is asked with, checked."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from simsearch.errors import InputError

_MOST = (1 << 31) - 1  # no answer could hold more


def checked_k(k: Any) -> int:
    """Return how many neighbours are asked for; any kind of integer is taken.

    Raises:
        InputError: it is none, below 1, or more than an answer can hold.

    Example:
        >>> checked_k(np.int64(3))
        3
        >>> checked_k(1.5)
        Traceback (most recent call last):
        simsearch.errors.InputError: k is 1.5 and must be a whole number, at least 1 and at most 2147483647
    """
    try:
        number = None if isinstance(k, (bool, np.bool_)) else operator.index(k)
    except TypeError:
        number = None
    if number is None or not 1 <= number <= _MOST:
        raise InputError(f"k is {shown(k)} and must be a whole number, at least 1 and at most {_MOST}")
    return number


def checked_limit(max_distance: Any) -> float:
    """Return the distance beyond which nothing is found; infinity for None.

    Raises:
        InputError: it is below 0 or no number.

    Example:
        >>> checked_limit(None), checked_limit(np.float32(0.5))
        (inf, 0.5)
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
    return limit


def shown(value: Any) -> str:
    """Return a value on one short line, for a message."""
    try:
        text = repr(value)
    except Exception:  # a number of thousands of digits, or an object of the caller's
        text = f"a {type(value).__name__}"
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:77]}..."
