"""How well distances separate copies from strangers: curves, areas, recall at a false-positive rate.

Everywhere `positives` are the distances of queries that have a copy, `negatives` those of strangers; lower is closer;
a query is detected when its distance is at most the threshold. Infinity is what no finite threshold detects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsearch.errors import InputError

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Roc:
    """The operating points of a detector, from the strictest to the loosest threshold.

    Attributes:
        thresholds: (m,) ascending; the first is -infinity.
        fpr: Share of detected negatives (m,), from 0.
        recall: Share of detected positives (m,), from 0.
    """

    thresholds: Values
    fpr: Values
    recall: Values


class OperatingPoint(NamedTuple):
    """One threshold with its recall and false-positive rate."""

    recall: float
    threshold: float
    fpr: float


class ImageRecall(NamedTuple):
    """One threshold, and recall by both counts: any image of the database within it, or the right one."""

    any_match: float
    right_image: float
    threshold: float
    fpr: float


def roc(positives: ArrayLike, negatives: ArrayLike) -> Roc:
    """Return the operating points of all thresholds that occur.

    Raises:
        InputError: One side is empty or holds NaN.

    Example:
        >>> roc([1, 2], [2, 3]).recall
        array([0. , 0.5, 1. , 1. ])
    """
    pos, neg = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate([pos, neg]))])
    return Roc(thresholds, _share_within(neg, thresholds), _share_within(pos, thresholds))


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """Return the probability that a positive is closer than a negative, ties counting half: the exact area, in [0, 1].

    Raises:
        InputError: One side is empty or holds NaN.

    Reference:
        Mann & Whitney, "On a test of whether one of two random variables is stochastically larger", 1947.

    Example:
        >>> auc([1, 2], [2, 3])
        0.875
    """
    pos, neg = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    at_most = np.searchsorted(neg, pos, side="right")
    below = np.searchsorted(neg, pos, side="left")
    return 1 - float((at_most + below).sum()) / (2 * len(pos) * len(neg))


def auc_on_grid(positives: ArrayLike, negatives: ArrayLike, thresholds: ArrayLike) -> float:
    """Return the trapezoidal area over these thresholds only, not anchored at (0, 0) and (1, 1), as in the paper.

    Raises:
        InputError: One side is empty or holds NaN.

    Reference:
        Vallez, Kucharavy & Dolamic, "Needle In A Haystack, Fast", 2022.

    Example:
        >>> auc_on_grid([1, 2], [2, 3], [0, 1, 2, 3])
        0.875
    """
    pos, neg = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    grid = np.sort(np.asarray(thresholds, np.float64))
    return float(np.trapezoid(_share_within(pos, grid), _share_within(neg, grid)))


def recall_at_fpr(positives: ArrayLike, negatives: ArrayLike, fpr: float) -> OperatingPoint:
    """Return the loosest threshold that detects no more than that share of the negatives, and its recall.

    Args:
        positives: Distances (p,).
        negatives: Distances (n,).
        fpr: The share allowed, in [0, 1].

    Returns:
        Recall, threshold and the share of negatives really detected, which is at most `fpr`.

    Raises:
        InputError: One side is empty or holds NaN, or `fpr` is outside [0, 1].

    Example:
        >>> recall_at_fpr([1, 2, 5], [3, 4], 0.5).recall
        0.6666666666666666
    """
    if not 0 <= fpr <= 1:
        raise InputError(f"the false-positive rate is {fpr} and must be in [0, 1]")
    pos, neg = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    allowed = math.floor(round(fpr * len(neg), 9))  # 0.07 x 100 is 7.000000000000001
    threshold = math.inf if allowed >= len(neg) else float(np.nextafter(neg[allowed], -np.inf))
    at = np.array([threshold])
    return OperatingPoint(float(_share_within(pos, at)[0]), threshold, float(_share_within(neg, at)[0]))


def image_recall_at_fpr(positives: ArrayLike, right: ArrayLike, negatives: ArrayLike, fpr: float) -> ImageRecall:
    """Return recall at a false-positive rate when any image of the database counts, and when only the right one does.

    The threshold is that of `recall_at_fpr`. The right image counts when it is within the threshold, also where
    another is nearer: a user is shown all that lies within.

    Args:
        positives: Distances (p, N) of queries that have a copy to every image of the database.
        right: Position (p,) of the right image of each.
        negatives: Distances (n, N) of strangers to every image of the database.
        fpr: The share allowed, in [0, 1].

    Raises:
        InputError: The arrays do not fit each other, are empty or hold NaN, or `fpr` is outside [0, 1].

    Example:
        >>> image_recall_at_fpr([[0.1, 0.9], [0.2, 0.8]], [0, 1], [[0.5, 0.6]], 0.0)[:2]
        (1.0, 0.5)
    """
    pos, neg = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    own = np.asarray(right, np.int64)
    if pos.ndim != 2 or neg.ndim != 2 or pos.shape[1] != neg.shape[1] or own.shape != pos.shape[:1]:
        raise InputError(f"distances {pos.shape} and {neg.shape} with {own.shape} right images do not fit each other")
    if pos.size == 0 or own.min() < 0 or own.max() >= pos.shape[1]:
        raise InputError(f"right images must be positions in a database of {pos.shape[1]}")
    point = recall_at_fpr(pos.min(axis=1), checked(neg, "negatives").min(axis=1), fpr)
    to_right = pos[np.arange(len(pos)), own]
    return ImageRecall(point.recall, float((to_right <= point.threshold).mean()), point.threshold, point.fpr)


def _share_within(ordered: Values, thresholds: Values) -> Values:
    return np.searchsorted(ordered, thresholds, side="right") / len(ordered)


def _sorted(values: ArrayLike, what: str) -> Values:
    return np.sort(checked(np.asarray(values, np.float64).ravel(), what))


def checked(values: NDArray[Any], what: str) -> Values:
    """Return these distances; refuse none at all, or NaN."""
    if values.size == 0:
        raise InputError(f"there are no {what}")
    if np.isnan(values).any():
        raise InputError(f"{what} hold NaN, which is no distance; use infinity for what is never detected")
    return values
