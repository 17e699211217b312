"""How near a pair must be: a distance, or the expected number of pairs of strangers that are as near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simsearch.decide.calibration import Calibration, Expected
from simsearch.errors import InputError
from simsearch.library.calibration.known import require_usable
from simsearch.library.format.channel import Channel

USUAL = 0.1
"""Expected false pairs of a whole library where nothing is asked for, by the fitted tail of the rates: about one, since
the pictures of one library resemble each other some ten times as often as those that rates are counted on."""
USUAL_RATES = (1e-9, 3e-8)
"""And the share of pairs of strangers that are as near: in a large library nearest copies are shown all the same, and
few pictures are no reason to take look-alikes for copies."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest distance of a pair, and what it means.

    Attributes:
        distance: In the metric.
        chances: Pairs that are compared, counted for each view.
        calibration: The rates of strangers; None where they are not known.
    """

    distance: float
    chances: float
    calibration: Calibration | None = None

    @property
    def expected(self) -> Expected | None:
        """False pairs to expect within the limit, in all; None where no rates are known."""
        return self.of(self.distance)

    def of(self, distance: float) -> Expected | None:
        """Return the false pairs to expect within a distance, in all: pairs compared times the rate of strangers."""
        if self.calibration is None or not self.chances:
            return None
        [found] = self.calibration.expected([distance], self.chances)
        return found


def limit_of(
    calibration: Calibration | None,
    channel: Channel,
    metric: str,
    *,
    items: int,
    chances: float,
    max_distance: float | None = None,
    max_false_pairs: float | None = None,
) -> Limit:
    """Return the limit of a search for pairs.

    Args:
        calibration: Of the channel and metric; None where there is none.
        channel: Whose rows.
        metric: The distance.
        items: Of the library.
        chances: Pairs that are compared.
        max_distance: As asked for.
        max_false_pairs: As asked for. Where neither is, the fitted tail of the rates decides, as `USUAL` says.

    Raises:
        InputError: Both are given, a number is none, or no rates are known and no distance is given.
    """
    if max_distance is not None and max_false_pairs is not None:
        raise InputError("a distance and a number of false pairs are two ways to say one thing: give one of them")
    for name, value in (("max_distance", max_distance), ("max_false_pairs", max_false_pairs)):
        if value is not None and not (isinstance(value, (int, float)) and 0 <= value < float("inf")):
            raise InputError(f"{name} {value!r} must be a number of at least 0")
    if max_distance is not None:
        return Limit(float(max_distance), chances, calibration)
    try:
        known = require_usable(calibration, channel, metric, items)
    except InputError as error:
        raise InputError(f"{error}; or say how near a pair must be, with --max-distance") from error
    if not chances:
        return Limit(0.0, chances, known)
    if max_false_pairs is None:
        return Limit(_usual(known, chances), chances, known)
    try:
        distance = known.distance_at(max_false_pairs, chances)
    except InputError as error:
        raise InputError(f"{error}; or ask for more with --max-false-pairs, or give --max-distance") from error
    if distance < 0:
        raise InputError(
            f"{max_false_pairs:g} false pairs are fewer than strangers with equal rows: ask for more with "
            "--max-false-pairs, or give --max-distance 0"
        )
    return Limit(distance, chances, known)


def _usual(calibration: Calibration, chances: float) -> float:
    """Return the distance of `USUAL` false pairs by the fitted tail, which goes on below what was counted."""
    rate = float(np.clip(USUAL / chances, *USUAL_RATES))
    return max(-calibration.curve.fitted_at(rate), 0.0)
