"""The cosine distance: scores in float32 with a bound on their error, and distances in float64 with theirs."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.runtime.tiles import each_tile
from simsearch.search.metrics.base import (
    DOUBLE_UNIT,
    HALF_SCALE,
    HALF_UNIT,
    UNIT,
    Doubles,
    Measure,
    Prepared,
    Score,
    SearchMetric,
    dot,
    minus_product,
    of_largest_one,
    product_unit,
)


@final
class CosineScore(Score):
    """Minus the cosine, as a matrix product, times a power of two; float16 operands on a GPU, float32 on a CPU."""

    finite = True

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.scale = HALF_SCALE**2 if half else 1.0

    def prepare(self, rows: Tensor) -> Prepared:
        """Return rows of length 1, and their largest absolute values."""
        if rows.dtype == torch.float64:  # into the range of float32
            rows = rows / rows.abs().amax(dim=1, keepdim=True)
        unit = rows.to(torch.float32, copy=True)
        if unit.device.type == "cpu":
            largest = torch.from_numpy(_unit_in_place(unit.numpy()))
        else:
            largest = torch.linalg.vector_norm(unit, ord=torch.inf, dim=1)
            unit /= largest[:, None]
            unit /= torch.linalg.vector_norm(unit, dim=1, keepdim=True)
        return Prepared(unit.mul_(HALF_SCALE).half() if self.half else unit, largest)

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Return which rows have no positive largest absolute value."""
        return ~((prepared.term > 0) & (prepared.term < torch.inf))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return scores (q, n), float32."""
        return minus_product(a.rows, b.rows)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return minus cosine."""
        return self.scale * (2 * distance - 1)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Return the rounding of a product of unit vectors, and of their lengths; of float16 as in `feature_maps`."""
        if not self.half:
            return product_unit() * (2 * dimension + 16)
        relative = 2 * HALF_UNIT + HALF_UNIT**2 + 1.001 * UNIT * (3 * dimension + 16)
        return self.scale * (relative + 2.0**-32 * math.sqrt(dimension))


def _unit_in_place(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (n, d) to length 1; return their largest absolute values."""
    largest = np.empty(len(values), np.float32)

    def tile(part: slice) -> None:
        here = values[part]
        largest[part] = np.maximum(here.max(axis=1), -here.min(axis=1))
        np.divide(here, largest[part, None], out=here)
        np.divide(here, np.sqrt(np.vecdot(here, here))[:, None], out=here)

    each_tile(tile, values)
    return largest


@final
class CosineDistance(Measure):
    """As `simsearch.distance.cosine`."""

    def prepare(self, rows: Tensor) -> Tensor:
        """Return rows of length 1."""
        unit = rows.double()
        unit = unit / unit.abs().amax(dim=1, keepdim=True)
        unit /= dot(unit, unit).sqrt_()[:, None]
        return unit

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a quarter of the squared gap."""
        gap = torch.sub(a, b)
        return dot(gap, gap).div_(4).clamp_(0, 1)

    def error(self, distances: Doubles, dimension: int) -> Doubles:
        """Return the error of unit rows known within e = (d/2 + 4) u: the squared gap g^2 moves by 4 e g + 4 e^2."""
        e = DOUBLE_UNIT * (dimension / 2 + 4)
        moved = 2 * e * np.sqrt(distances) + e**2 + DOUBLE_UNIT * (dimension + 3) * distances
        error: Doubles = 2.02 * moved
        return error


def _features(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows of length 1."""
    scaled = of_largest_one(rows)
    scaled /= np.sqrt(np.vecdot(scaled, scaled))[:, None]
    return scaled


METRIC = SearchMetric(lambda _, device: CosineScore(half=device.type == "cuda"), CosineDistance(), _features)
