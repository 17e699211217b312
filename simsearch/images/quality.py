"""How much there is to see in a picture, so that blank ones can be kept from matching everything."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels a side at which gradients are measured, as in PDQ
FULL_CONTRAST = 40.0  # standard deviation of luma, in levels, above which contrast no longer limits
FULL_GRADIENT = 8.0  # mean absolute difference of neighbours, in levels, likewise
TEXT_PAGE = 20
"""Quality that a page of text has at most: others of its kind resemble it, whatever they say."""
_GRID = 12  # blocks a side in which a page of text is looked for
_LEAST_BLOCK = 8  # pixels a side of a block in which lines of text can be told
_COLOUR, _PAPER, _SHADE, _INK = 16.0, 190.0, 45.0, 6.0  # levels
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def quality(image: NDArray[np.uint8]) -> int:
    """Return 0 (blank) to 100 from contrast and gradient, of uint8 (h, w) or (h, w, 3).

    The picture is reduced to about 64 pixels a side by averaging; c = standard deviation of luma / 40 and g = mean
    absolute difference of neighbouring pixels / 8, each at most 1; quality = 100 sqrt(c g). The geometric mean lets
    neither a smooth ramp (contrast alone) nor faint noise (gradient alone) pass for a picture. A page of text
    (`is_text_page`) has `TEXT_PAGE` at most.

    Reference:
        The gradient term follows PDQ's image-domain quality metric (Facebook, The TMK+PDQF Video-Hashing Algorithm and
        the PDQ Image-Hashing Algorithm, 2019), which is the summed gradient of a 64 x 64 luma alone.

    Example:
        >>> quality(np.full((96, 96), 200, dtype=np.uint8))
        0
    """
    small = _shrink(image)
    steps = np.abs(np.diff(small, axis=0)).sum() + np.abs(np.diff(small, axis=1)).sum()
    count = max(1, 2 * small.size - sum(small.shape))
    contrast = min(1.0, float(small.std()) / FULL_CONTRAST)
    gradient = min(1.0, float(steps) / count / FULL_GRADIENT)
    grade = round(100 * math.sqrt(contrast * gradient))
    return min(grade, TEXT_PAGE) if grade > TEXT_PAGE and is_text_page(image) else grade


def is_text_page(image: NDArray[np.uint8]) -> bool:
    """Tell whether a picture looks like a page of text, dark on light.

    It has next to no colour; nearly all of its 12 x 12 blocks reach the brightness of the paper; and in most of them
    something darker is on it, though most of the page is bright. Pictures below 96 pixels a side show no text.

    Args:
        image: uint8 (h, w) or (h, w, 3), as a model's preprocessing makes it.
    """
    high, wide = (side // _GRID for side in image.shape[:2])
    if min(high, wide) < _LEAST_BLOCK:
        return False
    if image.ndim == 3:
        some = image[::4, ::4].astype(np.int16)
        if np.median(some.max(axis=2) - some.min(axis=2)) > _COLOUR:
            return False
    luma = image @ LUMA if image.ndim == 3 else image.astype(np.float32)
    paper = np.percentile(luma[::2, ::2], 95)
    if paper < _PAPER or (luma > paper - _SHADE).mean() < 0.6:
        return False
    blocks = (
        luma[: high * _GRID, : wide * _GRID].reshape(_GRID, high, _GRID, wide).swapaxes(1, 2).reshape(-1, high * wide)
    )
    white = np.partition(blocks, -(blocks.shape[1] // 12), axis=1)[:, -(blocks.shape[1] // 12)] >= paper - _SHADE
    inked = white & (blocks.std(axis=1) > _INK)
    return bool(white.mean() >= 0.97 and inked.mean() >= 0.6)


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return luma averaged over whole blocks, so that both dimensions are about `SIDE`."""
    luma = image @ LUMA if image.ndim == 3 else image.astype(np.float32)
    rows, columns = (max(1, round(side / SIDE)) for side in luma.shape)
    height, width = (luma.shape[0] // rows * rows, luma.shape[1] // columns * columns)
    blocks = luma[:height, :width].reshape(height // rows, rows, width // columns, columns)
    mean: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return mean  # (about SIDE, about SIDE)
