"""Intervals of a statistic by the bootstrap over whole source images, with all the queries made from them.

A draw changes how often a query counts, never its rank, so distances are sorted once. A statistic of the numbers of
queries within each threshold is then computed for many draws together; any other is called once a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.intervals import Interval
from simsearch.decide.roc_curve import Values, auc, checked, recall_at_fpr
from simsearch.errors import InputError

Statistic: TypeAlias = Callable[[Values, Values], float]
Counts: TypeAlias = NDArray[np.int64]

_AT_ONCE = 1 << 19  # numbers of one block of draws: 4 MiB, which stay in the cache


@runtime_checkable
class CountStatistic(Protocol):
    """A statistic that can be computed for many draws together."""

    def __call__(self, positives: Values, negatives: Values) -> float:
        """Return the statistic of flat distances."""

    def of_counts(self, positives: Counts, negatives: Counts) -> Values:
        """Return the statistic (r,) of r draws, from the counts (r, m) within each of m ascending thresholds."""


@dataclass(frozen=True, slots=True)
class Area:
    """`auc` for many draws together."""

    def __call__(self, positives: Values, negatives: Values) -> float:
        """Return the exact area."""
        return auc(positives, negatives)

    def of_counts(self, positives: Counts, negatives: Counts) -> Values:
        """Return the area of each draw."""
        steps = np.diff(negatives, axis=1, prepend=0)
        heights = positives.copy()
        heights[:, 1:] += positives[:, :-1]
        area: Values = np.einsum("rm,rm->r", heights, steps) / (2.0 * positives[:, -1] * negatives[:, -1])
        return area


@dataclass(frozen=True, slots=True)
class RecallAtFpr:
    """The recall of `recall_at_fpr` for many draws together."""

    fpr: float

    def __call__(self, positives: Values, negatives: Values) -> float:
        """Return the recall at that false-positive rate."""
        return recall_at_fpr(positives, negatives, self.fpr).recall

    def of_counts(self, positives: Counts, negatives: Counts) -> Values:
        """Return the recall of each draw."""
        allowed = np.floor(np.round(self.fpr * negatives[:, -1:], 9))
        within = (negatives <= allowed).sum(axis=1)  # thresholds that stay within the rate
        found = positives[np.arange(len(positives)), np.maximum(within - 1, 0)]
        return np.where(within > 0, found, 0) / positives[:, -1]


def bootstrap_by_source(
    statistic: Statistic | CountStatistic,
    positives: ArrayLike,
    negatives: ArrayLike,
    *,
    rng: np.random.Generator,
    repeats: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Return the percentile interval of a statistic by drawing whole source images again, with all their edits.

    Queries made from one image succeed and fail together, so drawing single queries would give too narrow intervals.

    Args:
        statistic: Of flat positives and negatives. `auc`, `Area` and `RecallAtFpr` are fast.
        positives: Distances (source images, edits).
        negatives: Distances (source images, edits).
        rng: Draws the images.
        repeats: Number of draws.
        confidence: Share of the draws inside the interval.

    Raises:
        InputError: A side is not two-dimensional, is empty or holds NaN.

    Reference:
        Field & Welsh, "Bootstrapping clustered data", 2007.

    Example:
        >>> bootstrap_by_source(auc, [[1.0, 2.0]], [[3.0], [4.0]], rng=np.random.default_rng(0), repeats=10)
        Interval(low=1.0, high=1.0)
    """
    near, far = _by_source(positives, "positives"), _by_source(negatives, "negatives")
    draws = _drawn(rng, len(near), len(far), repeats)
    known = Area() if statistic is auc else statistic
    if isinstance(known, CountStatistic):
        values = _of_draws(known, near, far, draws)
    else:
        values = np.array([statistic(near[one].ravel(), far[other].ravel()) for one, other in draws])
    return percentiles(values, confidence)


def bootstrap_difference(
    statistic: CountStatistic,
    before: tuple[ArrayLike, ArrayLike],
    after: tuple[ArrayLike, ArrayLike],
    *,
    rng: np.random.Generator,
    repeats: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Return the percentile interval of a statistic's change between two methods, tried on the same images and edits.

    The same source images are drawn for both, so that images that are hard for both do not widen the interval.

    Args:
        statistic: `Area` or `RecallAtFpr`.
        before: Positives and negatives of the one method, each (source images, edits).
        after: Of the other, in the same order.
        rng: Draws the images.
        repeats: Number of draws.
        confidence: Share of the draws inside the interval.

    Raises:
        InputError: A side is not two-dimensional, is empty, holds NaN, or is of another number of source images.

    Example:
        >>> worse, better = ([[3.0], [2.0]], [[2.0], [4.0]]), ([[1.0], [1.0]], [[2.0], [4.0]])
        >>> bootstrap_difference(Area(), worse, better, rng=np.random.default_rng(0), repeats=200).high
        1.0
    """
    sides = [(_by_source(near, "positives"), _by_source(far, "negatives")) for near, far in (before, after)]
    counts = [(len(near), len(far)) for near, far in sides]
    if counts[0] != counts[1]:
        raise InputError(f"{counts[0]} and {counts[1]} source images; both methods must be tried on the same ones")
    draws = _drawn(rng, *counts[0], repeats)
    old, new = (_of_draws(statistic, near, far, draws) for near, far in sides)
    return percentiles(new - old, confidence)


def _drawn(rng: np.random.Generator, near: int, far: int, repeats: int) -> list[tuple[Any, Any]]:
    return [(rng.integers(0, near, near), rng.integers(0, far, far)) for _ in range(repeats)]


def percentiles(values: Values, confidence: float) -> Interval:
    """Return the interval of this share of the draws, with equal tails."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def blocks(repeats: int, numbers: int) -> Iterator[slice]:
    """Yield slices of the draws of bounded size, where a draw takes that many numbers."""
    step = max(1, _AT_ONCE // max(1, numbers))
    return (slice(start, min(start + step, repeats)) for start in range(0, repeats, step))


def times_drawn(draws: NDArray[Any], n_sources: int) -> Counts:
    """Return how often each source occurs in each draw: (r, n_sources) from drawn positions (r, k)."""
    shifted = draws + n_sources * np.arange(len(draws))[:, None]
    return np.bincount(shifted.ravel(), minlength=len(draws) * n_sources).reshape(len(draws), n_sources)


def counts_within(weights: Counts, sources: NDArray[Any], ends: NDArray[Any]) -> Counts:
    """Return how many queries are within each threshold in each draw.

    Args:
        weights: How often each source counts (r, n_sources).
        sources: Source of each query (n,), nearest first.
        ends: How many of these queries are within each threshold (m,).

    Returns:
        Counts (r, m).
    """
    running = np.zeros((len(weights), len(sources) + 1), np.int64)
    np.cumsum(np.take(weights, sources, axis=1), axis=1, out=running[:, 1:])
    return np.take(running, ends, axis=1)


def of_draws(statistic: CountStatistic, *sides: tuple[Values, NDArray[Any], Counts]) -> Values:
    """Return the statistic (r,) of draws.

    Args:
        statistic: Worked out for many draws together.
        sides: Positives and negatives: distances (n,), the source of each (n,), how often each counts (r, sources).
    """
    thresholds = np.unique(np.concatenate([values for values, _, _ in sides]))
    counted = []
    for values, sources, weights in sides:
        order = np.argsort(values, kind="stable")
        counted.append((weights, sources[order], np.searchsorted(values[order], thresholds, side="right")))
    found = [
        statistic.of_counts(*(counts_within(weights[block], sources, ends) for weights, sources, ends in counted))
        for block in blocks(len(sides[0][2]), len(thresholds) + sum(len(values) for values, _, _ in sides))
    ]
    return np.concatenate(found)


def _of_draws(statistic: CountStatistic, near: Values, far: Values, draws: list[tuple[Any, Any]]) -> Values:
    sides = []
    for values, drawn in zip((near, far), zip(*draws, strict=True), strict=True):
        owners = np.repeat(np.arange(len(values)), values.shape[1])
        sides.append((values.ravel(), owners, times_drawn(np.stack(drawn), len(values))))
    return of_draws(statistic, *sides)


def _by_source(values: ArrayLike, what: str) -> Values:
    array = np.asarray(values, np.float64)
    if array.ndim != 2:
        raise InputError(f"{what} have shape {array.shape} and must be (source images, edits)")
    return checked(array, what)
