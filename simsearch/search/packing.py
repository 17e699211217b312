"""Packed codes as whole words, padded with zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


def padded(codes: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Return codes (n, bytes) zero-padded to `width` bytes; the same array where they have them."""
    if codes.shape[1] == width:
        return codes
    out = np.zeros((len(codes), width), np.uint8)
    out[:, : codes.shape[1]] = codes
    return out


def as_words(codes: NDArray[np.uint8], dtype: DTypeLike) -> NDArray[Any]:
    """Return codes (n, bytes) as the fewest words of a type (n, words); a view where the bytes allow.

    Example:
        >>> as_words(np.array([[1, 0, 2]], np.uint8), np.uint32)
        array([[131073]], dtype=uint32)
    """
    size = np.dtype(dtype).itemsize
    words = -(-codes.shape[1] // size)
    flat = np.ascontiguousarray(padded(codes, words * size)).reshape(-1)  # of one row numpy may keep odd strides
    return flat.view(dtype).reshape(len(codes), words)
