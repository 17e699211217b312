"""Pillow's resize on any device: its kernels, its rounding, across and then down.

Pillow itself goes down first where that is less work, which shows where a kernel overshoots at hard edges; elsewhere
the pixels are those of `Preprocessing.apply` within a level.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from simsearch.images.preprocess import OUTSIDE, Kernel, Preprocessing


def resize(picture: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Return the pixels that a network takes, uint8 (s, s, 3), of a picture (3, h, w) uint8 on the same device.

    Two products with the kernel's weights, across and down, each rounded to whole levels as Pillow does.

    Example:
        >>> how = Preprocessing(2, "squash", 2, "box", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        >>> resize(torch.arange(48, dtype=torch.uint8).view(3, 4, 4), how)[..., 0]
        tensor([[ 3,  5],
                [11, 13]], dtype=torch.uint8)
    """
    height, width = picture.shape[1:]
    left, top, right, bottom = preprocessing.box((width, height))
    size, device = preprocessing.size, picture.device
    wide, high = preprocessing.inside((width, height)) if preprocessing.fit == "inside" else (size, size)
    across = _weights(preprocessing.kernel, width, wide, (left, right), device)
    down = _weights(preprocessing.kernel, height, high, (top, bottom), device)
    narrow = _levels(picture.float() @ across.T)  # (3, h, s)
    small = _levels(down @ narrow).to(torch.uint8).permute(1, 2, 0)
    if wide == high:
        return small.contiguous()
    square = torch.tensor(OUTSIDE, dtype=torch.uint8, device=device).repeat(size, size, 1)
    square[:high, :wide] = small
    return square


def _levels(values: Tensor) -> Tensor:
    return (values + 0.5).floor_().clamp_(0, 255)


@lru_cache(maxsize=256)
def _weights(kernel: Kernel, length: int, size: int, span: tuple[float, float], device: torch.device) -> Tensor:
    """Return the weights (size, length), float32, of `length` pixels, a span of which is resized to `size`."""
    support, function = _KERNELS[kernel]
    begin, end = np.array(span, np.float32)  # as Pillow keeps a box; at a kernel's edge the last bit decides
    scale = float(end - begin) / size
    stretch = max(scale, 1.0)
    centres = float(begin) + (torch.arange(size, dtype=torch.float64, device=device)[:, None] + 0.5) * scale
    places = torch.arange(length, dtype=torch.float64, device=device)
    first = (centres - support * stretch + 0.5).floor()
    last = (centres + support * stretch + 0.5).floor() - 1
    values = function((places - centres + 0.5) * (1 / stretch)) * ((places >= first) & (places <= last))
    return (values / values.sum(dim=1, keepdim=True)).float()


def _box(x: Tensor) -> Tensor:
    return ((x > -0.5) & (x <= 0.5)).to(x.dtype)


def _bilinear(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def _bicubic(x: Tensor) -> Tensor:
    """Return Keys's kernel with a = -1/2."""
    x = x.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where((x >= -3) & (x < 3), torch.sinc(x) * torch.sinc(x / 3), 0)


_KERNELS: dict[Kernel, tuple[float, Callable[[Tensor], Tensor]]] = {
    "box": (0.5, _box),
    "bilinear": (1.0, _bilinear),
    "bicubic": (2.0, _bicubic),
    "lanczos": (3.0, _lanczos),
}
