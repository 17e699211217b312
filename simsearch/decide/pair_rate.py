"""The rate F at which two strangers come within a distance by chance, and the distance at which it is small enough.

Strangers are images of sources that have nothing to do with each other: only pairs across sources count. Some pairs are
known to be copies and count nowhere. Of all pairs only the nearest are kept, since only the far tail decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.roc_curve import Values
from simsearch.errors import InputError

Support = Literal["supported", "beyond_calibration", "unsupported"]
Weights = NDArray[Any]
Places = NDArray[np.int64]

FEWEST_PAIRS = 50  # stranger pairs, and distinct images in them, from which on a rate is supported
_DECADE = 10.0  # a rate so many times smaller than the smallest supported one may still be reported, marked


@dataclass(frozen=True, slots=True)
class Strangers:
    """The images that form stranger pairs.

    Attributes:
        sources: Number of each image's source (n,); -1 for an image that takes no part.
        apart: Pairs of images (k, 2) that are copies of each other, each once.
    """

    sources: Places
    apart: Places

    @classmethod
    def of(cls, sources: ArrayLike, apart: ArrayLike = ()) -> Strangers:
        """Build from source numbers (n,) and known copies (k, 2).

        Raises:
            InputError: A known copy is no image, or is its own copy.
        """
        numbers = np.asarray(sources, np.int64)
        copies = np.unique(np.sort(np.asarray(apart, np.int64).reshape(-1, 2), axis=1), axis=0)
        if copies.size and (copies.min() < 0 or copies.max() >= len(numbers) or (copies[:, 0] == copies[:, 1]).any()):
            raise InputError(f"known copies must be pairs of two images out of {len(numbers)}")
        return cls(numbers, copies)

    def counts(self, left: Places, right: Places) -> NDArray[np.bool_]:
        """Return which of these pairs are strangers: across sources, and no known copies."""
        n = len(self.sources)
        keys = np.minimum(left, right) * n + np.maximum(left, right)
        return self.across(left, right) & ~np.isin(keys, self.apart[:, 0] * n + self.apart[:, 1])

    def pairs(self, weights: Weights | None = None) -> Values:
        """Return the numbers of stranger pairs (r,), with weights (r, n) of the images.

        Example:
            >>> Strangers.of([0, 0, 1, 2], [(0, 2)]).pairs()
            array([4.])
        """
        n = len(self.sources)
        each = np.ones((1, n)) if weights is None else weights
        by_source = np.zeros((len(each), int(self.sources.max(initial=-1)) + 1))
        for source in range(by_source.shape[1]):
            by_source[:, source] = each[:, self.sources == source].sum(axis=1, dtype=np.float64)
        total = (by_source.sum(axis=1) ** 2 - (by_source**2).sum(axis=1)) / 2
        left, right = self.apart[self.across(*self.apart.T)].T
        taken: Values = total - (each[:, left].astype(np.float64) * each[:, right]).sum(axis=1)
        return taken

    def without(self, source: int) -> Strangers:
        """Return the same without the images of one source."""
        return Strangers(np.where(self.sources == source, -1, self.sources), self.apart)

    def across(self, left: Places, right: Places) -> NDArray[np.bool_]:
        """Return which of these pairs are of two different sources that take part."""
        one, other = self.sources[left], self.sources[right]
        across: NDArray[np.bool_] = (one != other) & (one >= 0) & (other >= 0)
        return across


@dataclass(frozen=True, slots=True)
class PairTail:
    """The nearest pairs of strangers.

    Attributes:
        distances: (m,) ascending.
        left: First image of each pair (m,).
        right: Second image (m,).
        total: Pairs of strangers, near or far.
        reach: The distance within which all pairs are known.
    """

    distances: Values
    left: Places
    right: Places
    total: float
    reach: float

    @classmethod
    def of(cls, distances: ArrayLike, left: Places, right: Places, *, total: float, reach: float) -> PairTail:
        """Build from pairs in any order.

        Raises:
            InputError: There is no pair of strangers at all, or a distance is NaN.
        """
        values = np.asarray(distances, np.float64)
        if total <= 0:
            raise InputError("there is no pair of strangers; photographs of two sources at least are needed")
        if np.isnan(values).any():
            raise InputError("a distance between strangers is NaN, which is no distance")
        order = np.lexsort((right, left, values))
        return cls(values[order], left[order], right[order], float(total), reach)

    def within(self, distance: float) -> int:
        """Return the number of pairs within a distance; exact up to `reach`."""
        return int(np.searchsorted(self.distances, distance, side="right"))

    def images_within(self, distance: float) -> int:
        """Return the number of different images in these pairs."""
        m = self.within(distance)
        return len(np.union1d(self.left[:m], self.right[:m]))

    def threshold(self, rate: float) -> float | None:
        """Return the largest distance within which at most that share of the pairs of strangers lies.

        A tie counts whole or not at all, so a rate between two levels of a hash gives the smaller one. It is just
        below the first pair in excess. None where not one pair may lie within.

        Example:
            >>> tail = PairTail.of([0.1, 0.2, 0.2], *np.array([[0, 0, 1], [1, 2, 2]]), total=10, reach=0.5)
            >>> tail.threshold(0.1) < 0.2, tail.threshold(0.3), tail.threshold(0.05)
            (True, 0.5, None)
        """
        allowed = allowed_pairs(rate, np.array([[self.total]]))
        if allowed < 1:
            return None
        return float(self._strictest(np.arange(1, len(self.distances) + 1)[None], allowed)[0, 0])

    def drawn_thresholds(self, weights: Weights, totals: Values, rates: Sequence[float]) -> Values:
        """Return the thresholds (r, k) of r draws at k rates, with weights (r, n) of the images.

        A draw that allows no pair has its threshold below the nearest pair that it drew.
        """
        running = np.cumsum(self._weighted(weights), axis=1)
        return self._strictest(running, np.stack([allowed_pairs(rate, totals) for rate in rates], axis=1))

    def weighted_within(self, weights: Weights, distances: Values) -> Values:
        """Return how many pairs (r,) lie within the distance of each of r draws."""
        near = self.distances <= distances[:, None]
        found: Values = (self._weighted(weights) * near).sum(axis=1).astype(np.float64)
        return found

    def some(self, chosen: NDArray[np.bool_], total: float) -> PairTail:
        """Return the tail of a subset of the pairs, out of that many."""
        return PairTail(self.distances[chosen], self.left[chosen], self.right[chosen], float(total), self.reach)

    def nearest(self, wanted: int) -> PairTail:
        """Return the nearest `count` pairs or so: a tie stays whole."""
        if wanted >= len(self.distances):
            return self
        ends = self._ends()
        m = int(ends[np.searchsorted(ends, wanted)])
        reach = float(self.distances[m - 1])
        return PairTail(self.distances[:m], self.left[:m], self.right[:m], self.total, reach)

    @property
    def supported_rate(self) -> float:
        """The smallest rate that the pairs support: 50 of them, of 50 different images; infinite where there is none.

        Example:
            >>> chain = np.arange(60)
            >>> PairTail.of(chain / 60, chain, chain + 1, total=5900, reach=1).supported_rate
            0.00847457627118644
        """
        ends = self._ends()
        first = np.unique(np.stack([self.left, self.right], axis=1).ravel(), return_index=True)[1] // 2
        images = np.searchsorted(np.sort(first), ends, side="left")
        enough = ends[(ends >= FEWEST_PAIRS) & (images >= FEWEST_PAIRS)]
        return float(enough[0] / self.total) if len(enough) else np.inf

    def support(self, rate: float) -> Support:
        """Return the support of a rate: beyond the smallest supported one, for one decade at most, it is marked."""
        least = self.supported_rate
        if rate * (1 + 1e-9) >= least:
            return "supported"
        return "beyond_calibration" if rate * _DECADE * (1 + 1e-9) >= least else "unsupported"

    def _ends(self) -> Places:
        """Return the number of pairs within every distance that occurs."""
        changes = np.flatnonzero(np.diff(self.distances)) + 1
        return np.append(changes, len(self.distances)) if len(self.distances) else changes

    def _weighted(self, weights: Weights) -> NDArray[np.int64]:
        """Return the weight of each pair in each draw (r, m)."""
        return weights[:, self.left].astype(np.int64) * weights[:, self.right]

    def _strictest(self, running: NDArray[Any], allowed: Values) -> Values:
        """Return the largest thresholds (r, k) within the allowed counts, from cumulated pairs (r, m)."""
        ends = self._ends()
        at_ends = running[:, ends - 1]
        within = np.stack(
            [np.searchsorted(row, most, side="right") for row, most in zip(at_ends, allowed, strict=True)]
        )
        beyond = np.append(np.nextafter(self.distances[ends - 1], -np.inf), self.reach)
        found: Values = beyond[within]
        return found


def allowed_pairs(rate: float, totals: Values) -> Values:
    """Return the allowed pairs out of these totals within a threshold of that rate."""
    return np.floor(np.round(rate * totals, 9))


def rate_for(library: float, expected: float) -> float:
    """Return the pair rate at which a query has that many false matches in a library of that many strangers.

    Example:
        >>> rate_for(100_000, 1)
        1e-05
    """
    return expected / library
