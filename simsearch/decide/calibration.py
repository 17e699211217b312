"""A calibration: what a distance is worth, by how often strangers came within it.

The number of false matches to expect is E(d) = N F(d): N chances, F the share of pairs of strangers within d. It is a
number of false alarms (Desolneux, Moisan & Morel, "Meaningful alignments", 2000), and ISO/IEC 5152 asks for the same
extrapolation in biometrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.density import Density
from simsearch.decide.rate_curve import RateCurve
from simsearch.errors import InputError

Origin = Literal["package", "negatives", "queries", "library"]
"""Whose pairs were counted: photographs of strangers, for the package; photographs that are known to be strangers of a
library; a library's own queries, or its own items, both without what looks like copies."""
NEAREST = 3
"""Background rows whose mean distance from a query its distances are lessened by (Pizzi et al., 2022)."""
GROWTH = 2  # times the items of then, from which on a library's calibration is stale
_MOSTLY = 0.5  # expected false matches from which on they are told a query
_AGREEING = "places"  # the metric in which more is nearer


@dataclass(frozen=True, slots=True)
class Expected:
    """How many false matches are as near, by chance.

    Attributes:
        value: The expected number.
        low: Lower end of its 95 % interval.
        high: Upper end, on which decisions are made.
        beyond_calibration: Whether it is more than a decade below what was counted: `high` is what can be said.
    """

    value: float
    low: float
    high: float
    beyond_calibration: bool

    @property
    def any(self) -> float:
        """The probability of at least one, 1 - exp(-E)."""
        return float(-np.expm1(-self.value))

    @property
    def words(self) -> str:
        """What a match is worth, in words: `in_words`."""
        return in_words(self.value, beyond_calibration=self.beyond_calibration)


def in_words(
    expected: float, *, beyond_calibration: bool = False, asked: tuple[str, str] = ("query", "queries")
) -> str:
    """Return how often chance alone gives such a match.

    Args:
        expected: False matches of one query.
        beyond_calibration: Whether it is an upper end.
        asked: What a query is called, one and several.

    Example:
        >>> in_words(1 / 40_000), in_words(7.3), in_words(0.2, beyond_calibration=True)
        ('1 in 40,000 queries', '7.3 a query', 'at most 1 in 5 queries')
    """
    if expected > _MOSTLY:
        return f"{float(f'{expected:.2g}'):,.15g} a {asked[0]}"
    most = "at most " if beyond_calibration else ""
    return f"{most}1 in {float(f'{1 / expected:.2g}'):,.15g} {asked[1]}" if expected > 0 else "never"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Rates of strangers by one metric in one channel.

    Attributes:
        fingerprint: Of the channel's model.
        metric: The distance.
        curve: The rates; strengths are negated distances, or places.
        density: How a query's own rate depends on its neighbours; None where that is not known.
        normalised: The rates of distances less the query's mean to its nearest background rows; None where the model
            has no such rows.
        origin: Whose pairs were counted.
        what: Of which pictures, in words.
        images: How many the pairs are of.
        items: Of the library when it was made; 0 where it was made without one.
        left_out: Pairs that look like copies, and were not counted.
    """

    fingerprint: str
    metric: str
    curve: RateCurve
    density: Density | None
    origin: Origin
    what: str
    images: int
    items: int = 0
    left_out: int = 0
    normalised: RateCurve | None = None

    @property
    def pairs(self) -> int:
        """Pairs of strangers that were counted."""
        return self.curve.total

    def expected(self, distances: ArrayLike, chances: float, *, factor: ArrayLike = 1.0) -> list[Expected]:
        """Return the expected number of false matches within each distance.

        Args:
            distances: (n,) in the metric.
            chances: Items of the library, times the views in which it was searched.
            factor: How many times the mean rate a query's own is, (n,) or one.
        """
        return _expected(self.curve, self.strengths(distances), chances, factor)

    def expected_normalised(self, distances: ArrayLike, of_nearest: float, chances: float) -> list[Expected]:
        """Return the expected number for a query within each distance, less its mean to nearest background rows.

        Beyond that mean, where the normalised were not counted, it is that of a mean query.

        Args:
            distances: (n,) in the metric.
            of_nearest: The mean, of `simsearch.decide.NEAREST` rows.
            chances: Items of the library, times the views in which it was searched.

        Raises:
            InputError: There are no such rates.
        """
        if self.normalised is None:
            raise InputError("it has no rates of normalised distances: the model has no background rows")
        values = np.atleast_1d(np.asarray(distances, np.float64))
        mean = self.expected(values, chances)
        own = _expected(self.normalised, of_nearest - values, chances)
        return [one if value <= of_nearest else other for value, one, other in zip(values, own, mean, strict=True)]

    def strengths(self, distances: ArrayLike) -> NDArray[np.float64]:
        """Return how strongly distances speak: higher is rarer between strangers."""
        values = np.atleast_1d(np.asarray(distances, np.float64))
        return values if self.metric == _AGREEING else -values

    def distance_at(self, expected: float, chances: float) -> float:
        """Return the largest distance within which at most so many false matches are expected, by the upper end.

        Raises:
            InputError: So few cannot be told from what was counted; it says how many photographs it would take.
        """
        if not (expected > 0 and chances > 0):
            raise InputError(f"expected false matches {expected} and chances {chances} must be above 0")
        strength = self.curve.strength_at(min(expected / chances, 1.0))
        return strength if self.metric == _AGREEING else -strength

    def is_stale(self, items: int) -> bool:
        """Return whether the library that it was made on has grown twofold since."""
        return has_grown(self.items, items)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for a file."""
        return {
            "fingerprint": self.fingerprint,
            "metric": self.metric,
            "origin": self.origin,
            "what": self.what,
            "images": self.images,
            "items": self.items,
            "left_out": self.left_out,
            "density": None if self.density is None else self.density.to_dict(),
            "curve": self.curve.to_dict(),
            "normalised": None if self.normalised is None else self.normalised.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Return what `to_dict` wrote.

        Raises:
            InputError: It is none.
        """
        try:
            texts = [values[name] for name in ("fingerprint", "metric", "what")]
            counts = [values[name] for name in ("images", "items", "left_out")]
            origin, density, curve = values["origin"], values["density"], values["curve"]
            normalised = values.get("normalised")
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"it describes no calibration: {error}") from error
        good = all(isinstance(text, str) for text in texts) and origin in get_args(Origin)
        if not good or not all(isinstance(n, int) and 0 <= n < 1 << 62 for n in counts):
            raise InputError("it describes no calibration: a value is none that one has")
        of_queries = None if density is None else Density.from_dict(density)
        own = None if normalised is None else RateCurve.from_dict(normalised)
        fingerprint, metric, what = texts
        images, items, left_out = counts
        return cls(
            fingerprint, metric, RateCurve.from_dict(curve), of_queries, origin, what, images, items, left_out, own
        )


def _expected(
    curve: RateCurve, strengths: NDArray[np.float64], chances: float, factor: ArrayLike = 1.0
) -> list[Expected]:
    low, high = curve.interval(strengths)
    own = np.broadcast_to(np.asarray(factor, np.float64), strengths.shape)
    rates = np.minimum(np.maximum(curve.rate(strengths) * own, curve.floor), 1.0)
    ends = np.minimum(low * own, rates), np.minimum(np.maximum(high * own, rates), 1.0)
    return [
        Expected(float(value * chances), float(least * chances), float(most * chances), bool(far))
        for value, least, most, far in zip(rates, *ends, curve.is_beyond(strengths), strict=True)
    ]


def has_grown(then: int, now: int) -> bool:
    """Return whether a library has grown twofold; never, if rates were counted without one (`then` is 0)."""
    return 0 < then * GROWTH <= now


def most_expected(probability: float) -> float:
    """Return the expected number at which at least one false match has this probability: -log(1 - P).

    Raises:
        InputError: It is not between 0 and 1.

    Example:
        >>> round(most_expected(0.01), 5)
        0.01005
    """
    if not 0 < probability < 1:
        raise InputError(f"a probability of {probability} is not between 0 and 1")
    return float(-np.log1p(-probability))
