"""Copy detection as one ranking: the predictions of all queries pooled, the nearest first.

A prediction says that a query is a copy of a reference, at a distance. One threshold serves all queries, so a stranger
that comes close costs as much as a copy that stays away. Predictions at the same distance enter together: none of them
can be accepted without the others, so the order within a tie, which a sort would make up, never counts.

Reference:
    Douze et al., "The 2021 Image Similarity Dataset and Challenge", 2021; Pizzi et al., "A self-supervised descriptor
    for image copy detection", 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.decide.bootstrap import Counts, blocks, counts_within, percentiles, times_drawn
from simsearch.decide.intervals import Interval
from simsearch.decide.roc_curve import Values
from simsearch.errors import InputError


class RankPoint(NamedTuple):
    """One threshold of a ranking with its recall and precision."""

    recall: float
    threshold: float
    precision: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The predictions of all queries, the nearest first.

    Attributes:
        distances: Of each prediction (n,), ascending and finite.
        correct: Whether its reference is the query's own (n,).
        sources: Number of the source image of its query (n,).
        truths: Number of (query, reference) pairs to find, of each source image (s,); 0 for strangers.
    """

    distances: Values
    correct: NDArray[np.bool_]
    sources: NDArray[np.int64]
    truths: NDArray[np.int64]


class RankStatistic(Protocol):
    """A figure of a ranking, which can be computed for many draws together."""

    def of_counts(self, correct: Counts, wrong: Counts, truths: Counts) -> Values:
        """Return the figure (r,) of r draws, from predictions within each threshold (r, m) and pairs to find (r,)."""


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Micro average precision for many draws together."""

    def of_counts(self, correct: Counts, wrong: Counts, truths: Counts) -> Values:
        """Return the average precision of each draw."""
        gains = np.diff(correct, axis=1, prepend=0)
        area: Values = np.einsum("rm,rm->r", gains, _precision(correct, wrong)) / truths
        return area


@dataclass(frozen=True, slots=True)
class RecallAtPrecision:
    """Recall at a precision for many draws together."""

    precision: float

    def of_counts(self, correct: Counts, wrong: Counts, truths: Counts) -> Values:
        """Return the recall of each draw."""
        good = _precision(correct, wrong) >= self.precision - 1e-12
        share: Values = np.where(good, correct, 0).max(axis=1, initial=0) / truths
        return share


def pooled(distances: ArrayLike, right: ArrayLike, sources: ArrayLike, *, nearest: int = 10) -> Ranking:
    """Return the ranking of the nearest references of every query.

    Args:
        distances: Of every query to every reference (q, N); infinity is no prediction.
        right: Position of each query's own reference (q,), -1 for a stranger.
        sources: Number of the source image that each query was made from (q,), from 0. Sources draw as one.
        nearest: Predictions a query; references tied with the last of them are predictions too, so that their order
            never counts.

    Raises:
        InputError: The arrays do not fit each other, hold NaN, or no query has a reference.

    Example:
        >>> ranking = pooled([[0.1, 0.4], [0.3, 0.2]], [0, -1], [0, 1], nearest=1)
        >>> ranking.distances, ranking.correct
        (array([0.1, 0.2]), array([ True, False]))
    """
    matrix = np.asarray(distances, np.float64)
    truth, owner = np.asarray(right, np.int64), np.asarray(sources, np.int64)
    if matrix.ndim != 2 or truth.shape != matrix.shape[:1] or owner.shape != truth.shape or matrix.size == 0:
        raise InputError(
            f"distances {matrix.shape}, right {truth.shape} and sources {owner.shape} do not fit each other"
        )
    if truth.max() >= matrix.shape[1] or owner.min() < 0 or nearest < 1:
        raise InputError(f"right images must be positions in {matrix.shape[1]}, sources and `nearest` positive")
    last = min(nearest, matrix.shape[1]) - 1
    query_ids, references = np.nonzero(
        ~(matrix > np.partition(matrix, last, axis=1)[:, last, None])
    )  # NaN is refused below
    truths = np.bincount(owner[truth >= 0], minlength=int(owner.max()) + 1)
    return ranked(matrix[query_ids, references], references == truth[query_ids], owner[query_ids], truths)


def ranked(distances: ArrayLike, correct: ArrayLike, sources: ArrayLike, truths: ArrayLike) -> Ranking:
    """Return the ranking of predictions in any order; those at infinity are none.

    Args:
        distances: Of each prediction (n,).
        correct: Whether it names the query's own reference (n,).
        sources: Number of the source image of its query (n,), from 0.
        truths: Pairs to find of each source image (s,), whether predicted or not.

    Raises:
        InputError: The arrays do not fit each other, hold NaN, there is nothing to find, or more was found than that.
    """
    values, hit = np.asarray(distances, np.float64), np.asarray(correct, np.bool_)
    owner, total = np.asarray(sources, np.int64), np.asarray(truths, np.int64)
    if values.ndim != 1 or hit.shape != values.shape or owner.shape != values.shape or total.ndim != 1:
        raise InputError(
            f"distances {values.shape}, correct {hit.shape} and sources {owner.shape} must be lists as long"
        )
    if np.isnan(values).any():
        raise InputError("distances hold NaN, which is no distance; use infinity for what is never detected")
    if total.sum() < 1 or (owner.size and not 0 <= owner.min() <= owner.max() < len(total)):
        raise InputError(f"{total.sum()} pairs to find in {len(total)} sources: there must be one, and every source")
    if (np.bincount(owner[hit], minlength=len(total)) > total).any():
        raise InputError("more correct predictions than pairs to find; a (query, reference) pair was given twice")
    order = np.argsort(values, kind="stable")
    order = order[np.isfinite(values[order])]
    return Ranking(values[order], hit[order], owner[order], total)


def micro_average_precision(ranking: Ranking) -> float:
    """Return the mean over all pairs to find of the precision at which each is found, 0 for those never predicted.

    Example:
        >>> micro_average_precision(ranked([0.1, 0.2, 0.3], [True, False, True], [0, 1, 0], [2, 0]))
        0.8333333333333333
    """
    return float(AveragePrecision().of_counts(*_whole(ranking))[0])


def recall_at_precision(ranking: Ranking, precision: float) -> RankPoint:
    """Return the largest recall at which at least that share of the predictions is correct.

    Returns:
        Recall, the loosest threshold that reaches it, and the precision there; threshold -infinity where none does.

    Raises:
        InputError: The precision is outside (0, 1].

    Example:
        >>> recall_at_precision(ranked([0.1, 0.2, 0.3], [True, False, True], [0, 1, 0], [2, 0]), 0.9)
        RankPoint(recall=0.5, threshold=0.1, precision=1.0)
    """
    if not 0 < precision <= 1:
        raise InputError(f"the precision is {precision} and must be in (0, 1]")
    correct, wrong, truths = _whole(ranking)
    at = _precision(correct, wrong)[0]
    good = np.flatnonzero(at >= precision - 1e-12)
    if good.size == 0 or correct[0, good[-1]] == 0:
        return RankPoint(0.0, -np.inf, 1.0)
    last = good[-1]
    return RankPoint(float(correct[0, last] / truths[0]), float(np.unique(ranking.distances)[last]), float(at[last]))


def bootstrap_ranking(
    statistic: RankStatistic,
    ranking: Ranking,
    *,
    rng: np.random.Generator,
    repeats: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """Return the percentile interval by drawing source images again with all their queries and predictions.

    Sources with pairs to find and strangers are drawn apart, so that their share stays the same.

    Args:
        statistic: `AveragePrecision()` or `RecallAtPrecision(p)`.
        ranking: The predictions.
        rng: Draws the images.
        repeats: Number of draws.
        confidence: Share of the draws inside the interval.

    Reference:
        Field & Welsh, "Bootstrapping clustered data", 2007.
    """
    weights = np.zeros((repeats, len(ranking.truths)), np.int64)
    for group in (np.flatnonzero(ranking.truths > 0), np.flatnonzero(ranking.truths == 0)):
        if len(group):
            drawn = rng.integers(0, len(group), (repeats, len(group)))
            weights[:, group] = times_drawn(drawn, len(group))
    right, wrong = _sides(ranking)
    found = [
        statistic.of_counts(
            counts_within(weights[block], *right),
            counts_within(weights[block], *wrong),
            weights[block] @ ranking.truths,
        )
        for block in blocks(repeats, 3 * len(ranking.distances))
    ]
    return percentiles(np.concatenate(found), confidence)


def _sides(ranking: Ranking) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return sources of the correct, then of the wrong predictions, and the counts of each within each threshold."""
    ends = np.searchsorted(ranking.distances, np.unique(ranking.distances), side="right")
    sides = []
    for chosen in (ranking.correct, ~ranking.correct):
        running = np.concatenate([[0], np.cumsum(chosen)])
        sides.append((ranking.sources[chosen], running[ends]))
    return sides


def _whole(ranking: Ranking) -> tuple[Counts, Counts, Counts]:
    """Return the counts of the ranking itself, as one draw."""
    (_, correct), (_, wrong) = _sides(ranking)
    return correct[None], wrong[None], ranking.truths.sum(keepdims=True)


def _precision(correct: Counts, wrong: Counts) -> Values:
    share: Values = correct / np.maximum(correct + wrong, 1)
    return share
