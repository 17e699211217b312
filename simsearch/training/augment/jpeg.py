"""JPEG in tensor form: what is lost when blocks of 8 x 8 are rounded in frequency; nothing is written.

Reference: ITU-T T.81, "Digital compression and coding of continuous-tone still images", 1992, annexes A and K.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from simsearch.training.augment.image_batch import Squares, at_own_size

_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29),
    *(51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121),
    *(120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)  # table K.1
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99),
    *([99] * 36),
)  # table K.2
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
_BLOCK = 16  # of a picture with halved colour


def jpg_compression(squares: Squares, quality: Tensor, generator: torch.Generator) -> Squares:  # noqa: ARG001
    """Apply a JPEG round trip at that quality, colour at half the resolution, as Pillow writes it."""
    return at_own_size(squares, lambda x, _: compressed(x, quality))


def compressed(x: Tensor, quality: Tensor) -> Tensor:
    """Return images (n, 3, h, w), or luma (n, 1, h, w), in [0, 255] after JPEG at their quality (n,), 1 to 100."""
    high, wide = x.shape[2:]
    whole = F.pad(x.round(), (0, -wide % _BLOCK, 0, -high % _BLOCK), mode="replicate")
    if x.shape[1] == 1:
        return _luma(whole, quality).round().clamp(0, 255)[:, :, :high, :wide]
    ycc = torch.einsum("ij,njhw->nihw", _matrix(_TO_YCC, x), whole)
    luma = _luma(ycc[:, :1], quality)
    chroma = _rounded(F.avg_pool2d(ycc[:, 1:], 2), _table(_CHROMA, quality))
    chroma = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    rgb = torch.einsum("ij,njhw->nihw", _matrix(_TO_RGB, x), torch.cat([luma, chroma], 1))
    return rgb.round().clamp(0, 255)[:, :, :high, :wide]


def _luma(plane: Tensor, quality: Tensor) -> Tensor:
    return _rounded(plane - 128, _table(_LUMA, quality)) + 128


def _table(base: tuple[int, ...], quality: Tensor) -> Tensor:
    """Return the quantisation tables (n, 8, 8) of libjpeg's scaling."""
    quality = quality.round().clamp(1, 100)
    scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    steps = torch.tensor(base, dtype=quality.dtype, device=quality.device)
    return ((steps * scale.view(-1, 1) + 50) / 100).floor().clamp(1, 255).view(-1, 8, 8)


def _rounded(plane: Tensor, table: Tensor) -> Tensor:
    """Return the planes (n, c, h, w) after their blocks' frequencies were rounded to multiples of the table's steps."""
    n, c, h, w = plane.shape
    blocks = plane.view(n, c, h // 8, 8, w // 8, 8).transpose(3, 4)  # (n, c, rows, columns, 8, 8)
    cosines = _cosines(plane)
    steps = table.view(n, 1, 1, 1, 8, 8)
    kept = ((cosines @ blocks @ cosines.T) / steps).round() * steps
    return (cosines.T @ kept @ cosines).transpose(3, 4).reshape(n, c, h, w)


def _cosines(like: Tensor) -> Tensor:
    """Return the orthonormal DCT-II of 8 values, (8, 8)."""
    k = torch.arange(8, dtype=like.dtype, device=like.device)
    basis = torch.cos(math.pi / 8 * (k + 0.5) * k.view(-1, 1)) / 2
    basis[0] /= math.sqrt(2)
    return basis


def _matrix(values: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)
