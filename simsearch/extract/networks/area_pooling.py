"""Means over areas of a picture, as products of matrices: many times as fast on a CPU as walking over the places."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

_BLOCK = 20  # places of a side that a product takes at once at least; narrower ones keep a processor less busy


def area_means(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return (n, c, *size) of (n, c, h, w): the means of `torch.nn.functional.adaptive_avg_pool2d`, up to rounding.

    Where a pattern repeats along a side, as five places to two do, one product takes each of its repeats. In bfloat16
    values are rounded twice, down and across, but the weights of an area still add up to 1 (for areas of up to a
    hundred places a side), so that a flat one keeps its value. Autocast leaves them as they are. Fastest where x is
    channels last, as the result is.

    Example:
        >>> area_means(torch.arange(8.0).view(1, 1, 2, 4), (1, 2))
        tensor([[[[2.5000, 4.5000]]]])
    """
    (count, channels, height, width), (high, wide) = x.shape, size
    bands, columns = _blocks(height, high), _blocks(width, wide)
    down = _weights(height // bands, high // bands, 1, x.dtype, x.device)
    across = _weights(width // columns, wide // columns, channels, x.dtype, x.device)
    lines = x.permute(0, 2, 3, 1).reshape(count * bands, height // bands, width * channels)
    kind = "cpu" if x.device.type == "meta" else x.device.type  # which knows no autocast, and is counted on
    with torch.autocast(kind, enabled=False):
        low = torch.matmul(down, lines).view(count * high * columns, width * channels // columns)
        means = torch.mm(low, across.T).view(count, high, wide, channels)
    return means.permute(0, 3, 1, 2)


def _blocks(length: int, size: int) -> int:
    """Return the number of equal parts, of `_BLOCK` places or more, of both sides."""
    common = math.gcd(length, size)
    return max(each for each in range(1, common + 1) if not common % each and (each == 1 or length // each >= _BLOCK))


def _weights(length: int, size: int, channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    made = _made if torch.compiler.is_compiling() else _kept
    return made(length, size, channels, dtype, device)


def _made(length: int, size: int, channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the weights of `length` places for each of `size` means, channel by channel."""
    mean, place = torch.arange(size, device=device)[:, None], torch.arange(length, device=device)
    first, end = mean * length // size, ((mean + 1) * length + size - 1) // size
    each = (1 / (end - first).double()).to(dtype).double()
    rest = 1 - (end - first - 1) * each  # what rounding left, for an area's first place
    weights = torch.where(place == first, rest, each) * ((place >= first) & (place < end))
    return torch.kron(weights, torch.eye(channels, dtype=weights.dtype, device=device)).to(dtype)


@lru_cache(maxsize=64)
def _kept(length: int, size: int, channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):
        return _made(length, size, channels, dtype, device)
