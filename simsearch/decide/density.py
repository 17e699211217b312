"""How crowded a query's neighbourhood is: a street among streets meets more strangers than a loner.

A rate is a mean over queries, of which few make most false matches. How many of a sample of the library's rows lie
within a moderate distance of a query tells which kind it is, long before the far tail does; it also tells a library of
pictures that are nearer to each other than those of the calibration. What neighbours leave unexplained of pictures with
little to see is counted by strata of quality.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.errors import InputError

Values = NDArray[np.float64]

REFERENCE = 1e-2
"""The rate at whose distance neighbours are counted: near enough to mean something, and some twenty of two thousand."""
FEWEST = 200  # rows of a sample in which neighbours are counted
_HIGHEST = 100.0  # quality
_LEAST = 0.1  # times the mean rate that a query's is said to be at least: what is seen beyond was not counted
_LIMITS = (0.0, 8.0)  # of a power
_STRATA = (0.1, 0.3)  # quantiles of the quality of queries, by which they are told apart
_NUMBERS = ("distance", "power", "decades", "level")
_SHRUNK = 20.0  # near strangers by which a stratum's factor is drawn to 1


@dataclass(frozen=True, slots=True)
class Density:
    """How a query's rate depends on its number of neighbours.

    Attributes:
        distance: Within which neighbours are counted; the mean rate there is `REFERENCE`.
        power: Of the ratio of neighbours to the mean, to which the rate is proportional, at `decades`.
        decades: By how many the mean rate lies below `REFERENCE` there; nearer to it the power is nearer to 1.
        level: The mean of that power over queries, strata included.
        strata: Of quality, ascending: up to which, and how many times the rate that neighbours tell, at `decades`.
    """

    distance: float
    power: float
    decades: float
    level: float
    strata: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(
        cls,
        ratios: ArrayLike,
        near: ArrayLike,
        rows: ArrayLike,
        distance: float,
        *,
        qualities: ArrayLike | None = None,
    ) -> Density:
        """Fit on queries (n,), by Poisson regression.

        Args:
            ratios: Neighbours of each within the distance, by their mean, as of `ratio`.
            near: Strangers within a much smaller distance.
            rows: That each was compared with there.
            distance: Of the neighbours.
            qualities: Of each, 0 to 100, -1 where it is not known; without them there are no strata.

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
        grown = np.exp(power * logs)
        told = grown * (sizes * rate / np.average(grown, weights=sizes))
        seen = np.full(hits.shape, -1.0) if qualities is None else np.asarray(qualities, np.float64)
        strata = tuple(_strata(seen, hits, told))
        level = float(np.average(grown * _by_quality(strata, seen), weights=sizes))
        return cls(distance, power, float(max(np.log10(REFERENCE / rate), 0.1)), level, strata)

    def factor(self, neighbours: ArrayLike, rows: int, rate: ArrayLike, *, quality: ArrayLike = -1) -> Values:
        """Return how many times the mean rate a query's own is, for its neighbours among some rows and its quality.

        Never below a tenth: fewer strangers than that are beyond what neighbours tell. A quality of -1 is not known.

        Example:
            >>> Density(0.4, power=2, decades=2, level=1).factor([10, 31], 999, 1e-4).round(2).tolist()
            [1.0, 8.48]
        """
        share = np.clip(np.log10(REFERENCE / np.asarray(rate, np.float64)) / self.decades, 0.0, 1.0)
        power = 1 + (self.power - 1) * share
        grown = ratio(neighbours, rows) ** power * _by_quality(self.strata, quality) ** share
        return np.asarray(np.maximum(grown / self.level**share, _LEAST))

    def crowding(self, neighbours: ArrayLike, rows: int) -> Values:
        """Return how many times as many neighbours as the mean query one has."""
        return ratio(neighbours, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for a file."""
        return {**{name: getattr(self, name) for name in _NUMBERS}, "strata": [list(one) for one in self.strata]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Density:
        """Return what `to_dict` wrote.

        Raises:
            InputError: It is none.
        """
        try:
            strata = tuple((float(most), float(times)) for most, times in values.get("strata", ()))
            distance, power, decades, level = (float(values[name]) for name in _NUMBERS)
            read = cls(distance, power, decades, level, strata)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"it describes no density: {error}") from error
        numbers = [getattr(read, name) for name in _NUMBERS] + [value for one in strata for value in one]
        above = min([read.decades, read.level, *(times for _, times in strata)]) > 0
        if not (np.isfinite(numbers).all() and above and list(strata) == sorted(strata)):
            raise InputError("it describes no density: decades, level and factors of strata must be above 0")
        return read


def ratio(neighbours: ArrayLike, rows: ArrayLike) -> Values:
    """Return neighbours among rows by their mean number, one added to both, so that none is not infinitely rare."""
    return np.asarray((np.asarray(neighbours, np.float64) + 1) / (REFERENCE * np.asarray(rows, np.float64) + 1))


def _strata(qualities: Values, hits: Values, told: Values) -> Iterator[tuple[float, float]]:
    """Yield up to which quality a stratum goes, and its near strangers by those that neighbours told."""
    known = qualities[qualities >= 0]
    ends = np.unique([*np.quantile(known, _STRATA), _HIGHEST]).tolist() if len(known) else []
    for low, high in itertools.pairwise([-1.0, *ends]):
        inside = (qualities > low) & (qualities <= high)
        yield high, float((hits[inside].sum() + _SHRUNK) / (told[inside].sum() + _SHRUNK))


def _by_quality(strata: tuple[tuple[float, float], ...], quality: ArrayLike) -> Values:
    """Return the factor of the stratum of each quality; 1 where it is not known."""
    asked = np.asarray(quality, np.float64)
    if not strata:
        return np.ones(asked.shape)
    ends, times = (np.array(column) for column in zip(*strata, strict=True))
    which = np.minimum(np.searchsorted(ends, asked), len(ends) - 1)
    return np.asarray(np.where(asked >= 0, times[which], 1.0))
