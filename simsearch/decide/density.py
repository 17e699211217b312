"""How crowded a query's neighbourhood is: a street among streets meets more strangers than a loner.

A rate is a mean over queries, of which few make most false matches. How many of a sample of the library's rows lie
within a moderate distance of a query tells which kind it is, long before the far tail does; it also tells a library of
pictures that are nearer to each other than those of the calibration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.errors import InputError

Values = NDArray[np.float64]

REFERENCE = 1e-2
"""The rate at whose distance neighbours are counted: near enough to mean something, and some twenty of two thousand."""
FEWEST = 200  # rows of a sample in which neighbours are counted
_LEAST = 0.1  # times the mean rate that a query's is said to be at least: what is seen beyond was not counted
_LIMITS = (0.0, 8.0)  # of a power


@dataclass(frozen=True, slots=True)
class Density:
    """How a query's rate depends on its number of neighbours.

    Attributes:
        distance: Within which neighbours are counted; the mean rate there is `REFERENCE`.
        power: Of the ratio of neighbours to the mean, to which the rate is proportional, at `decades`.
        decades: By how many the mean rate lies below `REFERENCE` there; nearer to it the power is nearer to 1.
        level: The mean of that power over queries.
    """

    distance: float
    power: float
    decades: float
    level: float

    @classmethod
    def of(cls, ratios: ArrayLike, near: ArrayLike, rows: ArrayLike, distance: float) -> Density:
        """Fit on queries (n,), by Poisson regression.

        Args:
            ratios: Neighbours of each within the distance, by their mean, as of `ratio`.
            near: Strangers within a much smaller distance.
            rows: That each was compared with there.
            distance: Of the neighbours.

        Raises:
            InputError: There is no near stranger at all, or the counts are not of the same queries.
        """
        from scipy.optimize import minimize

        crowded, hits, sizes = (np.asarray(values, np.float64) for values in (ratios, near, rows))
        if not crowded.shape == hits.shape == sizes.shape or crowded.ndim != 1:
            raise InputError("neighbours, near strangers and rows must be of the same queries")
        if hits.sum() == 0 or (sizes <= 0).any():
            raise InputError("there is no near stranger from which a query's own rate could be fitted")
        logs = np.log(crowded)

        def loss(parameters: NDArray[np.float64]) -> float:
            expected = sizes * np.exp(parameters[0] + parameters[1] * logs)
            return float((expected - hits * np.log(expected)).sum() / hits.sum())

        rate = hits.sum() / sizes.sum()
        found = minimize(loss, [np.log(rate), 1.0], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-8})
        power = float(np.clip(found.x[1], *_LIMITS))
        level = float(np.average(np.exp(power * logs), weights=sizes))
        return cls(distance, power, float(max(np.log10(REFERENCE / rate), 0.1)), level)

    def factor(self, neighbours: ArrayLike, rows: int, rate: ArrayLike) -> Values:
        """Return how many times the mean rate a query's own is, for its neighbours among some rows.

        Never below a tenth: fewer strangers than that are beyond what neighbours tell.

        Example:
            >>> Density(0.4, power=2, decades=2, level=1).factor([10, 31], 999, 1e-4).round(2).tolist()
            [1.0, 8.48]
        """
        share = np.clip(np.log10(REFERENCE / np.asarray(rate, np.float64)) / self.decades, 0.0, 1.0)
        power = 1 + (self.power - 1) * share
        grown = ratio(neighbours, rows) ** power
        return np.asarray(np.maximum(grown / self.level**share, _LEAST))

    def crowding(self, neighbours: ArrayLike, rows: int) -> Values:
        """Return how many times as many neighbours as the mean query one has."""
        return ratio(neighbours, rows)

    def to_dict(self) -> dict[str, float]:
        """Return it as plain values, for a file."""
        return {"distance": self.distance, "power": self.power, "decades": self.decades, "level": self.level}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Density:
        """Return what `to_dict` wrote.

        Raises:
            InputError: It is none.
        """
        try:
            read = cls(**{name: float(values[name]) for name in ("distance", "power", "decades", "level")})
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"it describes no density: {error}") from error
        if not (np.isfinite([read.distance, read.power]).all() and read.decades > 0 and read.level > 0):
            raise InputError("it describes no density: decades and level must be above 0")
        return read


def ratio(neighbours: ArrayLike, rows: ArrayLike) -> Values:
    """Return neighbours among rows by their mean number, one added to both, so that none is not infinitely rare."""
    return np.asarray((np.asarray(neighbours, np.float64) + 1) / (REFERENCE * np.asarray(rows, np.float64) + 1))
