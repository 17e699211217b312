"""How much there is to see in a picture, so that blank ones can be kept from matching everything."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels a side at which gradients are measured, as in PDQ
FULL_CONTRAST = 40.0  # standard deviation of luma, in levels, above which contrast no longer limits
FULL_GRADIENT = 8.0  # mean absolute difference of neighbours, in levels, likewise
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def quality(image: NDArray[np.uint8]) -> int:
    """Return 0 (blank) to 100 from contrast and gradient, of uint8 (h, w) or (h, w, 3).

    The picture is reduced to about 64 pixels a side by averaging; c = standard deviation of luma / 40 and g = mean
    absolute difference of neighbouring pixels / 8, each at most 1; quality = 100 sqrt(c g). The geometric mean lets
    neither a smooth ramp (contrast alone) nor faint noise (gradient alone) pass for a picture.

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
    return round(100 * math.sqrt(contrast * gradient))


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma averaged over whole blocks, so that both dimensions are about `SIDE`."""
    luma = image @ LUMA if image.ndim == 3 else image.astype(np.float32)
    rows, columns = (max(1, round(side / SIDE)) for side in luma.shape)
    height, width = (luma.shape[0] // rows * rows, luma.shape[1] // columns * columns)
    blocks = luma[:height, :width].reshape(height // rows, rows, width // columns, columns)
    mean: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return mean  # (about SIDE, about SIDE)
