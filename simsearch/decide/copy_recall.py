"""Recall of copies at a rate of false matches, with two-way intervals: strangers and photographs are drawn again.

The threshold is set on strangers and the share of copies counted below it, so both samples make it uncertain. The same
draws serve every method, so that images that are hard for all of them do not widen the interval of a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.bootstrap import blocks, percentiles, times_drawn
from simsearch.decide.intervals import Interval
from simsearch.decide.pair_rate import PairTail, Strangers
from simsearch.decide.roc_curve import Values
from simsearch.errors import InputError

Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Draws:
    """The counts of each stranger and each copied photograph in each draw.

    Attributes:
        strangers: (r, n).
        queries: (r, q).
        totals: Pairs of strangers in each draw (r,).
    """

    strangers: NDArray[Any]
    queries: NDArray[Any]
    totals: Values

    @classmethod
    def of(cls, strangers: Strangers, queries: int, *, rng: np.random.Generator, repeats: int = 1000) -> Draws:
        """Draw strangers and photographs independently, that many times."""
        places = np.flatnonzero(strangers.sources >= 0)
        counted = [
            times_drawn(rng.integers(0, size, (repeats, size)), size).astype(np.int16)
            for size in (len(places), queries)
        ]
        weights = np.zeros((repeats, len(strangers.sources)), np.int16)
        weights[:, places] = counted[0]
        return cls(weights, counted[1], strangers.pairs(weights))

    def thresholds(self, tail: PairTail, rates: Sequence[float]) -> Values:
        """Return the threshold of each draw at each rate (r, k)."""
        parts = [
            tail.drawn_thresholds(self.strangers[block], self.totals[block], rates)
            for block in blocks(len(self.strangers), len(tail.distances))
        ]
        return np.concatenate(parts)


def shares_within(to_original: Values, threshold: float | None) -> Values:
    """Return the share of photographs (e,) whose copy by each edit lies within the threshold of its own original.

    Args:
        to_original: Distances (q, e); infinite where a copy has none.
        threshold: None finds nothing.
    """
    return np.zeros(to_original.shape[1]) if threshold is None else (to_original <= threshold).mean(axis=0)


def drawn_shares(to_original: ArrayLike, thresholds: Values, queries: NDArray[Any]) -> Shares:
    """Return `shares_within` for every draw (r, e).

    Args:
        to_original: Distances (q, e).
        thresholds: Of each draw (r,).
        queries: Counts of each photograph in each draw (r, q).

    Raises:
        InputError: The photographs are not the same, or a distance is NaN.
    """
    distances = np.asarray(to_original, np.float64)
    if distances.ndim != 2 or len(distances) != queries.shape[1]:
        raise InputError(f"distances {distances.shape} are not those of {queries.shape[1]} photographs")
    if np.isnan(distances).any():
        raise InputError("a distance of a copy is NaN, which is no distance; use infinity for what is never found")
    out = np.empty((len(thresholds), distances.shape[1]), np.float32)
    weights = queries.astype(np.float32)
    for i, threshold in enumerate(thresholds):
        out[i] = weights[i] @ (distances <= threshold).astype(np.float32)
    out /= weights.sum(axis=1, keepdims=True)
    return out


def mean_interval(shares: Shares, edits: Sequence[int], confidence: float = 0.95) -> Interval:
    """Return the interval of the mean over some edits."""
    return percentiles(shares[:, list(edits)].mean(axis=1, dtype=np.float64), confidence)


def difference_interval(before: Shares, after: Shares, edits: Sequence[int], confidence: float = 0.95) -> Interval:
    """Return the interval of the change of that mean between two methods on the same draws."""
    change = after[:, list(edits)].mean(axis=1, dtype=np.float64) - before[:, list(edits)].mean(
        axis=1, dtype=np.float64
    )
    return percentiles(change, confidence)
