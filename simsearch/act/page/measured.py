"""How far two pictures are apart by one model, or on how many places keypoints agree, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from simsearch.decide.calibration import Expected, in_words
from simsearch.decide.known_rates import all_known, known_calibrations, known_rates
from simsearch.distance import by_name, hamming
from simsearch.errors import InputError
from simsearch.spatial.points import Points
from simsearch.spatial.witness import PLACES

if TYPE_CHECKING:
    from simsearch.extract.extractor import Extractor
    from simsearch.images.source import Limits
    from simsearch.spatial.second_look import SecondLook

_MOST_OF_ALL = 0.5  # of all strangers, from which on a distance says nothing


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model says of two pictures.

    Attributes:
        model: Its name.
        fingerprint: Of the model.
        metric: The distance, or `places`.
        value: The distance, or the number of places.
        seen: The second look, by keypoints.
    """

    model: str
    fingerprint: str
    metric: str
    value: float
    seen: SecondLook | None = None

    @property
    def line(self) -> str:
        """It in words."""
        if self.seen is not None:
            return (
                f"{self.value:.0f}  {self.metric} that agree, model {self.model} (strangers have 3 at most, save a few)"
            )
        return f"{self.value:.4f}  {self.metric}, model {self.model} (0 is equal; lower is more similar)"

    @property
    def facts(self) -> dict[str, Any]:
        """It in the form of `compare --json`."""
        told: dict[str, Any] = {"distance": self.value}
        if self.seen is not None:
            told = {"places": self.seen.agreeing, "view": self.seen.view, "turned": self.seen.turned}
        return {**told, "metric": self.metric, "model": self.model}

    @property
    def strength(self) -> float:
        """How strongly it speaks: higher is rarer between strangers."""
        return self.value if self.seen is not None else -self.value

    def expected(self, items: int) -> Expected | None:
        """Return how many strangers of a library of some size are as near by chance; None where no rates are known."""
        if self.seen is None:
            known = known_calibrations().get((self.fingerprint, self.metric))
            return None if known is None else known.expected([self.value], items)[0]
        for rates in all_known():
            if (curve := rates.rate.alone.get(self.fingerprint)) is not None:
                return _expected(curve, [self.value], items)
        return None


def measured(
    extractor: Extractor, a: Any, b: Any, *, metric: str | None = None, limits: Limits | None = None
) -> Measured:
    """Return what a model says of two images, in any form that its `embed` takes.

    Args:
        extractor: The model.
        a: An image; of keypoints the query.
        b: Another.
        metric: The distance; by default what the model recommends.
        limits: What one image may cost.

    Raises:
        InputError: Keypoints have no such distance, or an image cannot be used.
    """
    name = metric or extractor.metric
    if isinstance(extractor, Points):
        if name != PLACES:
            raise InputError(f"keypoints are compared by {PLACES} alone: leave --metric out")
        seen = extractor.compare(a, b, limits=limits)
        return Measured(extractor.name, extractor.fingerprint, name, float(seen.agreeing), seen)
    rows = extractor.embed([a, b], limits=limits)
    measure = partial(hamming, bits=extractor.bits) if name == "hamming" else by_name(name)
    return Measured(extractor.name, extractor.fingerprint, name, float(measure(rows[:1], rows[1:])[0, 0]))


def together(told: Sequence[Measured], items: int) -> tuple[tuple[str, ...], Expected] | None:
    """Return the models whose rates are known together, and how many strangers all of them would find as near.

    None where fewer than two are. Rates of several are of the distance that each model recommends.
    """
    strengths: Mapping[str, float] = {one.fingerprint: one.strength for one in told}
    known = known_rates(frozenset(strengths))
    if known is None or len(known.names) < 2:
        return None
    asked = {key: [strengths[key]] for key in known.names}
    return tuple(known.names.values()), _expected(known.rate, asked, items)


def worth(expected: Expected | None, items: int) -> str:
    """Return what it is worth in a library of some size, in words; nothing where no rates are known.

    Example:
        >>> worth(Expected(0.0025, 0.002, 0.003, beyond_calibration=False), 10_000)
        'in a library of 10,000 photographs, chance alone finds a stranger as near in 1 in 400 queries'
    """
    if expected is None:
        return ""
    if expected.value > _MOST_OF_ALL * items:
        return "nothing: most strangers are as near"
    often = in_words(expected.value, beyond_calibration=expected.beyond_calibration)
    number, many, _ = often.partition(" a query")
    found = f"{number} strangers as near" if many else f"a stranger as near in {often}"
    return f"in a library of {items:,} photographs, chance alone finds {found}"


def _expected(curve: Any, strengths: Any, items: int) -> Expected:
    low, high = curve.interval(strengths)
    value = float(curve.rate(strengths)[0]) * items
    ends = min(float(low[0]) * items, value), max(float(high[0]) * items, value)
    return Expected(value, *ends, bool(curve.is_beyond(strengths)[0]))
