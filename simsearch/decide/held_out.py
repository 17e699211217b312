"""Predicted against observed false matches: a rate fitted on all sources but one, tested on that one.

An expected number of false matches assumes that the rate measured on some photographs holds for others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.bootstrap import blocks, percentiles
from simsearch.decide.copy_recall import Draws
from simsearch.decide.intervals import Interval
from simsearch.decide.pair_rate import PairTail, Strangers, Support
from simsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One source against all others.

    Attributes:
        source: Its number.
        threshold: Set on the pairs of the others; None where they are too few for the rate.
        pairs: Pairs of one image of it and one of the others.
        predicted: How many of them would lie within the threshold at the requested rate.
        observed: How many do.
        ratio: Interval of observed over predicted; images are drawn again.
        support: Of the rate on the others.
    """

    source: int
    threshold: float | None
    pairs: int
    predicted: float
    observed: int
    ratio: Interval
    support: Support


def held_out(tail: PairTail, strangers: Strangers, source: int, rate: float, draws: Draws) -> HeldOut:
    """Set a threshold without one source, and count that source's pairs within it.

    Args:
        tail: Of all pairs of strangers.
        strangers: Of the tail.
        source: The held-out one.
        rate: Of the threshold.
        draws: For the interval.

    Raises:
        InputError: There are not two sources besides.
    """
    inside = strangers.sources == source
    besides = strangers.without(source)
    others = float(besides.pairs()[0])
    if others <= 0:
        raise InputError("predicted against observed needs two sources besides the one left out")
    of_source = inside[tail.left] | inside[tail.right]
    fitted = tail.some(~of_source, others)
    across = tail.some(of_source, tail.total - others)
    threshold = fitted.threshold(rate)
    observed = 0 if threshold is None else across.within(threshold)
    ratio = _ratio(fitted, across, besides, rate, draws)
    return HeldOut(
        source, threshold, round(across.total), rate * across.total, observed, ratio, fitted.support(rate)
    )  # fmt: skip


def _ratio(fitted: PairTail, across: PairTail, besides: Strangers, rate: float, draws: Draws) -> Interval:
    values: list[NDArray[Any]] = []
    for block in blocks(len(draws.strangers), len(fitted.distances) + len(across.distances)):
        weights = draws.strangers[block]
        others = besides.pairs(weights)
        thresholds = fitted.drawn_thresholds(weights, others, (rate,))[:, 0]
        observed = across.weighted_within(weights, thresholds)
        values.append(observed / np.maximum(rate * (draws.totals[block] - others), 1e-12))
    return percentiles(np.concatenate(values), 0.95)
