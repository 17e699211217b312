"""The sum of absolute differences: scores in float32 and distances in float64, each with a bound on its error."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.search.metrics.base import DOUBLE_UNIT, TINY, UNIT, Doubles, Measure, Prepared, Score, SearchMetric


@final
class CityBlockScore(Score):
    """The sum of absolute differences itself."""

    def prepare(self, rows: Tensor) -> Prepared:
        """Return rows, and their sums of absolute values."""
        values = rows.to(torch.float32)
        return Prepared(values, values.abs().sum(dim=1))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return distances (q, n)."""
        return torch.cdist(a.rows, b.rows, p=1)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the distances."""
        return distance

    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """Return the rounding of the sum."""
        return UNIT * (dimension + 16) * (largest[0] + largest[1]) + (dimension + 1) * TINY


@final
class CityBlockDistance(Measure):
    """As `simsearch.distance.l1`."""

    def prepare(self, rows: Tensor) -> Tensor:
        """Return rows as they are."""
        return rows.double()

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return sums of absolute gaps."""
        return torch.sub(a, b).abs_().sum(dim=1)

    def error(self, distances: Doubles, dimension: int) -> Doubles:
        """Return the relative rounding of gaps and sum."""
        return 2 * DOUBLE_UNIT * (dimension + 2) * distances


METRIC = SearchMetric(lambda *_: CityBlockScore(), CityBlockDistance())
