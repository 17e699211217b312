"""Exact confidence intervals of shares, and whether the sources suffice to support a rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from scipy.special import betaincinv

from simsearch.errors import InputError

_FEWEST_EXPECTED = 3  # expected events among independent sources, from which on a rate is supported


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval, and whether its sources suffice.

    Attributes:
        value: The number.
        low: Lower end of its interval.
        high: Upper end.
        supported: False for too few independent source images; it is then printed as such.
    """

    value: float
    low: float
    high: float
    supported: bool = True

    @classmethod
    def of_share(cls, successes: int, trials: int, *, supported: bool = True) -> Estimate:
        """Return the share of successes in independent trials, with its exact 95 % interval.

        Raises:
            InputError: There are no trials, or more successes than trials.

        Example:
            >>> share = Estimate.of_share(90, 100)
            >>> share.value, round(share.low, 3), round(share.high, 3)
            (0.9, 0.824, 0.951)
        """
        if trials < 1:
            raise InputError(f"a share of {trials} trials has no value; give at least one")
        return cls.of_interval(successes / trials, clopper_pearson(successes, trials), supported=supported)

    @classmethod
    def of_interval(cls, value: float, interval: Interval, *, supported: bool = True) -> Estimate:
        """Return a figure with its interval."""
        return cls(float(value), float(interval.low), float(interval.high), supported)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the exact interval of a share, for independent trials.

    Raises:
        InputError: The counts do not fit each other.

    Reference:
        Clopper & Pearson, "The use of confidence or fiducial limits", 1934.

    Example:
        >>> low, high = clopper_pearson(0, 100)
        >>> low, round(high, 4)
        (0.0, 0.0362)
    """
    if not 0 <= successes <= trials:
        raise InputError(f"{successes} successes of {trials} trials is no share")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return Interval(low, high)


def supported(rate: float, n_sources: int) -> bool:
    """Return whether that many independent source images support so small a rate.

    Example:
        >>> supported(0.005, 100), supported(0.005, 600)
        (False, True)
    """
    return round(rate * n_sources, 9) >= _FEWEST_EXPECTED
