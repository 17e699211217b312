"""What several matches of one owner are worth: chance matches add up, and they come in clusters.

Whoever acts on an owner with at least k matches needs the probability that an innocent one has as many. Independent
matches would be Poisson; but one owner's photographs resemble each other, and where one of them is mistaken the next
one is, too. The spread between owners is fitted on owners whose matches are known to be false.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betainc, gammainc
from scipy.stats import nbinom

from simsearch.decide.intervals import Interval
from simsearch.errors import InputError

_MOST_K = 1 << 20
_DISPERSIONS = (1e-6, 1e6)  # of the fit; the lowest is as good as independent
_CHI2 = 3.841  # of one degree of freedom: twice the fall of the log-likelihood at the ends of a 95 % interval


def at_least(k: int, expected: float, dispersion: float = 0.0) -> float:
    """Return the probability of at least k false matches where so many are expected.

    Args:
        k: Matches.
        expected: Mean number of an owner.
        dispersion: Of a negative binomial, whose variance is expected + dispersion expected^2; 0 for Poisson.

    Raises:
        InputError: A number is negative, or NaN.

    Reference:
        Greenwood & Yule, "An inquiry into the nature of frequency distributions", 1920.

    Example:
        >>> f"{at_least(10, 10_000 * 20 / 10_000_000):.1e}"
        '2.8e-24'
        >>> f"{at_least(10, 0.02, dispersion=50):.1e}"
        '3.8e-06'
    """
    if not (k >= 0 and 0 <= expected < np.inf and 0 <= dispersion < np.inf):
        raise InputError(f"k {k}, expected {expected} and dispersion {dispersion} must be finite and not negative")
    if k == 0 or expected == 0:
        return float(k == 0)
    if dispersion < _DISPERSIONS[0]:
        return float(gammainc(k, expected))
    grown = expected * dispersion
    return float(betainc(k, 1 / dispersion, grown / (1 + grown)))


def smallest_k(probability: float, expected: float, dispersion: float = 0.0) -> int:
    """Return the smallest number of matches that an innocent owner has with at most this probability.

    Raises:
        InputError: The probability is not between 0 and 1, or even a million matches are likelier.

    Example:
        >>> smallest_k(1e-12, 0.02), smallest_k(1e-12, 0.02, dispersion=50)
        (6, 31)
    """
    if not 0 < probability < 1:
        raise InputError(f"a probability of {probability} is not between 0 and 1")
    if at_least(_MOST_K, expected, dispersion) > probability:
        raise InputError(f"an owner with {expected:g} expected matches may have over a million of them by chance")
    low, high = 0, 1
    while at_least(high, expected, dispersion) > probability:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at_least(middle, expected, dispersion) > probability else (low, middle)
    return high


@dataclass(frozen=True, slots=True)
class OwnerRates:
    """False matches of owners: how many a photograph, and how unequal owners are.

    Attributes:
        rate: False matches a photograph.
        dispersion: As of `at_least`: 0 where owners are as good as independent draws of photographs.
        interval: Of the dispersion, 95 %, by the profile likelihood; it ends at the bounds of the fit.
        owners: How many it is fitted on.
        matches: Their false matches.
    """

    rate: float
    dispersion: float
    interval: Interval
    owners: int
    matches: int

    def at_least(self, k: int, photographs: float) -> float:
        """Return the probability that an innocent owner of so many photographs has at least k matches."""
        return at_least(k, self.rate * photographs, self.dispersion)

    @classmethod
    def of(cls, matches: ArrayLike, photographs: ArrayLike) -> OwnerRates:
        """Fit a negative binomial on owners (n,) whose matches are all false.

        Raises:
            InputError: There are fewer than two owners, one has no photograph, or a number is negative.

        Example:
            >>> fitted = OwnerRates.of([0] * 96 + [5] * 4, [100] * 100)
            >>> fitted.rate, fitted.dispersion > 10
            (0.002, True)
        """
        found, held = np.asarray(matches, np.float64), np.asarray(photographs, np.float64)
        if found.shape != held.shape or found.ndim != 1 or len(found) < 2:
            raise InputError(
                f"matches {found.shape} and photographs {held.shape} must be of the same two owners or more"
            )
        if not (np.isfinite(found).all() and np.isfinite(held).all() and (found >= 0).all() and (held > 0).all()):
            raise InputError("every owner needs photographs, and a number of matches that is not negative")
        rate = float(found.sum() / held.sum())
        if rate == 0:
            return cls(0.0, 0.0, Interval(0.0, _DISPERSIONS[1]), len(found), 0)
        loss = _loss(found, rate * held)
        bounds = (float(np.log(_DISPERSIONS[0])), float(np.log(_DISPERSIONS[1])))
        best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
        at, least = float(best.x), float(best.fun)
        if loss(bounds[0]) <= least + 1e-9:
            at, least = bounds[0], loss(bounds[0])
        ends = [_crossing(loss, at, end, least + _CHI2 / 2) for end in bounds]
        dispersion = 0.0 if at <= bounds[0] + 1e-3 else float(np.exp(at))
        low = 0.0 if ends[0] <= bounds[0] + 1e-3 else float(np.exp(ends[0]))
        return cls(rate, dispersion, Interval(low, float(np.exp(ends[1]))), len(found), int(found.sum()))


def share_of_list(found: int, listed: int, photographs: int, pair_rate: float, dispersion: float = 0.0) -> float:
    """Return the probability that one innocent owner holds so many different entries of a list by chance.

    One owner with a large part of a listed collection is another matter than one with a single match: each further
    entry must be met by chance, too.

    Args:
        found: Different entries of the list that the owner's photographs match.
        listed: Entries of the list.
        photographs: Of the owner.
        pair_rate: Share of pairs of strangers that match.
        dispersion: Between owners.

    Raises:
        InputError: More were found than are listed, or a number is none.

    Example:
        >>> f"{share_of_list(12, 40, 2_000, 1e-6):.1e}"
        '1.3e-22'
    """
    if not (0 <= found <= listed and photographs >= 0 and 0 <= pair_rate <= 1):
        raise InputError(
            f"{found} of {listed} entries by {photographs} photographs at pair rate {pair_rate} is no share"
        )
    met = -np.expm1(photographs * np.log1p(-pair_rate)) if pair_rate < 1 else float(photographs > 0)
    return at_least(found, listed * float(met), dispersion)


def _loss(found: NDArray[np.float64], expected: NDArray[np.float64]) -> Callable[[float], float]:
    def loss(log_dispersion: float) -> float:
        size = float(np.exp(-log_dispersion))
        return -float(np.sum(nbinom.logpmf(found, size, size / (size + expected))))

    return loss


def _crossing(loss: Callable[[float], float], inside: float, end: float, most: float) -> float:
    """Return where the loss reaches a value between its minimum and an end of the fit; the end where it does not."""
    if loss(end) <= most:
        return end
    for _ in range(60):
        middle = (inside + end) / 2
        inside, end = (middle, end) if loss(middle) <= most else (inside, middle)
    return inside
