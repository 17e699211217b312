"""The Euclidean distance: scores in float32 with a bound on their error, and distances in float64 with theirs."""

from __future__ import annotations

import math
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.search.metrics.base import (
    DOUBLE_UNIT,
    SMALLEST,
    TINY,
    Doubles,
    Measure,
    Prepared,
    Score,
    SearchMetric,
    dot,
    product_unit,
)


@final
class EuclideanScore(Score):
    """The squared distance, as a matrix product."""

    def prepare(self, rows: Tensor) -> Prepared:
        """Return rows, and their squared lengths."""
        values = rows.to(torch.float32)
        return Prepared(values, torch.linalg.vecdot(values, values))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return squared distances (q, n), not clipped at zero."""
        return (a.rows @ b.rows.T).mul_(-2).add_(a.term[:, None]).add_(b.term)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return squared distances."""
        with np.errstate(over="ignore"):
            return np.square(distance)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """Return rounding of the three terms."""
        lengths = math.sqrt(largest[0]) + math.sqrt(largest[1])
        return product_unit() * (2 * dimension + 16) * lengths**2 + (dimension + 1) * TINY


@final
class EuclideanDistance(Measure):
    """As `simsearch.distance.l2`."""

    def prepare(self, rows: Tensor) -> Tensor:
        """Return rows as they are."""
        return rows.double()

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return lengths of the gaps."""
        gap = torch.sub(a, b)
        return dot(gap, gap).sqrt_()

    def error(self, distances: Doubles, dimension: int) -> Doubles:
        """Return the relative rounding of gaps, squares, sum and root, and the loss of squares below normal numbers."""
        lost = 2 * dimension * SMALLEST
        with np.errstate(divide="ignore"):
            return 2 * DOUBLE_UNIT * (dimension / 2 + 4) * distances + np.minimum(math.sqrt(lost), lost / distances)


METRIC = SearchMetric(lambda *_: EuclideanScore(), EuclideanDistance(), lambda rows: rows)
