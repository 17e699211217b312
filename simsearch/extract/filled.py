"""Batches filled up to one size, for what is made anew for each size that it meets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Filled:
    """Calls a function of batches with as many pixels as the largest batch so far had, and gives the first rows."""

    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        self._forward = forward
        self._size = 0

    def __call__(self, pixels: Tensor) -> Tensor:
        """What the function gives for these pixels (n, ...)."""
        count = len(pixels)
        self._size = max(self._size, count)
        if count < self._size:
            pixels = torch.cat([pixels, pixels.new_zeros((self._size - count, *pixels.shape[1:]))])
        return self._forward(pixels)[:count]
