"""Thresholds: what each distance would cost and find, with bounds that hold for all of them at once.

Whoever looks at a table and picks a line has chosen after seeing: bounds of 95 % for each line would then hold less
often. Those of a table hold together (Bonferroni), so that any line may be picked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.calibration import Calibration, Expected
from simsearch.decide.intervals import Estimate, Interval, clopper_pearson
from simsearch.errors import InputError

Values = NDArray[np.float64]

EXPECTED = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
_CONFIDENCE = 0.95
_AT_MOST = 40  # distances that are tried for a precision
_MANY = 10.0  # expected false matches of the first step of a table


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a table of thresholds.

    Attributes:
        distance: Within it a match would be one.
        expected: False matches of a query, with ends that hold for all lines at once.
        recall: Share of known copies within it; None without any.
        reviews: False matches of a day's queries, for people to look at; None without a load.
    """

    distance: float
    expected: Expected
    recall: Estimate | None
    reviews: float | None


def steps(
    calibration: Calibration,
    chances: float,
    *,
    copies: ArrayLike | None = None,
    load: float | None = None,
    bits: int | None = None,
) -> tuple[Step, ...]:
    """Return a table of thresholds, widest first.

    Args:
        calibration: Of a channel and metric.
        chances: Items of the library, times the views in which it is searched.
        copies: Distances of known copies from their originals, (n,) of different photographs, or (n, e) of e edits of
            each.
        load: Queries a day.
        bits: Length of a code: one bit is one step.

    Raises:
        InputError: There are no chances, or a distance of a copy is NaN.
    """
    if not chances > 0:
        raise InputError(f"{chances} chances: a table needs a library that holds something")
    curve = calibration.curve
    if bits is None:
        wanted = [expected / chances for expected in EXPECTED if curve.floor <= expected / chances <= 1]
        distances = sorted({_distance(calibration, rate) for rate in wanted}, reverse=True)
    else:
        rates = curve.rate(calibration.strengths(np.arange(bits + 1) / bits)) * chances
        distances = (np.flatnonzero(rates <= max(_MANY, float(rates[0]))) / bits).tolist()[::-1]
    confidence = 1 - (1 - _CONFIDENCE) / max(1, len(distances))
    found = []
    for distance in distances:
        (mean,) = calibration.expected([distance], chances)
        low, high = (float(end[0]) * chances for end in curve.interval(calibration.strengths(distance), confidence))
        expected = Expected(mean.value, min(low, mean.value), max(high, mean.value), mean.beyond_calibration)
        recall = None if copies is None else recall_within(copies, distance, confidence)
        found.append(Step(float(distance), expected, recall, None if load is None else load * mean.value))
    return tuple(found)


def _distance(calibration: Calibration, rate: float) -> float:
    """Return the largest distance whose rate is at most that."""
    strengths = calibration.curve.strengths
    enough = np.flatnonzero(calibration.curve.rate(strengths) <= rate * (1 + 1e-9))
    at = strengths[enough[0]] if len(enough) else np.nextafter(strengths[-1], np.inf)
    return float(at if calibration.metric == "places" else -at)


def recall_within(copies: ArrayLike, distance: float, confidence: float = _CONFIDENCE) -> Estimate:
    """Return the share of copies within a distance; its interval counts photographs, not their edits.

    Raises:
        InputError: There are none, or one is NaN.

    Example:
        >>> share = recall_within([[0.1, 0.3]] * 20, 0.2)
        >>> share.value, round(share.low, 2), round(share.high, 2)
        (0.5, 0.27, 0.73)
    """
    values = np.asarray(copies, np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if not values.size or np.isnan(values).any():
        raise InputError("recall needs distances of copies from their originals, none of them NaN")
    share = float((values <= distance).mean())
    low, high = clopper_pearson(round(share * len(values)), len(values), confidence)
    return Estimate.of_interval(share, Interval(min(low, share), max(high, share)))


def threshold_for_precision(
    distances: ArrayLike, are_copies: ArrayLike, precision: float, *, confidence: float = _CONFIDENCE
) -> float:
    """Return the largest distance within which the share of copies is at least that, by its lower bound.

    The bounds hold for all distances of the sample together, so that the largest may be chosen.

    Args:
        distances: Of judged matches (n,).
        are_copies: What people said of each (n,).
        precision: Wanted share of copies.
        confidence: That it is reached.

    Raises:
        InputError: The sample does not support it; how many judged matches would is said.
    """
    values, copies = np.asarray(distances, np.float64), np.asarray(are_copies, bool)
    if values.shape != copies.shape or values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise InputError(f"distances {values.shape} and verdicts {copies.shape} must be of the same judged matches")
    if not 0 < precision < 1:
        raise InputError(f"a precision of {precision} is not between 0 and 1")
    order = np.argsort(values, kind="stable")
    values, right = values[order], np.cumsum(copies[order])
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    ends = ends[np.unique(np.searchsorted(ends, np.geomspace(1, len(values), _AT_MOST).astype(int) - 1))]
    share = 1 - 2 * (1 - confidence) / len(ends)  # two-sided: only the lower side is used
    good = [end for end in ends.tolist() if clopper_pearson(int(right[end]), end + 1, share).low >= precision]
    if not good:
        needed = int(np.ceil(np.log((1 - confidence) / len(ends)) / np.log(precision)))
        raise InputError(
            f"{len(values)} judged matches do not show a precision of {precision:g} anywhere: it takes {needed:,} near "
            "ones without a single mistake, or more with some"
        )
    return float(values[good[-1]])
