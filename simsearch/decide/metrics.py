"""How well distances tell copies from strangers: curves, areas, recall at a false-positive rate, intervals.

Everywhere `positives` are the distances of queries that have a copy, `negatives` those of strangers; lower is closer;
a query is detected when its distance is at most the threshold. Infinity is what no finite threshold detects.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from simsearch.errors import InputError

Values = NDArray[np.float64]
Statistic = Callable[[Values, Values], float]

_FEWEST_EXPECTED = 3  # events that a rate must lead one to expect among independent sources before it is believed


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
    """One threshold and what it does."""

    recall: float
    threshold: float
    fpr: float


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float


def roc(positives: ArrayLike, negatives: ArrayLike) -> Roc:
    """The operating point of every threshold that occurs.

    Raises:
        InputError: One side is empty or holds NaN.

    Example:
        >>> roc([1, 2], [2, 3]).recall
        array([0. , 0.5, 1. , 1. ])
    """
    near, far = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate([near, far]))])
    return Roc(thresholds, _share_within(far, thresholds), _share_within(near, thresholds))


def auc(positives: ArrayLike, negatives: ArrayLike) -> float:
    """The probability that a positive is closer than a negative, ties counting half: the exact area, in [0, 1].

    Raises:
        InputError: One side is empty or holds NaN.

    Reference:
        Mann & Whitney, "On a test of whether one of two random variables is stochastically larger", 1947.

    Example:
        >>> auc([1, 2], [2, 3])
        0.875
    """
    near, far = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    at_most = np.searchsorted(far, near, side="right")
    below = np.searchsorted(far, near, side="left")
    return 1 - float((at_most + below).sum()) / (2 * len(near) * len(far))


def auc_on_grid(positives: ArrayLike, negatives: ArrayLike, thresholds: ArrayLike) -> float:
    """The trapezoid over these thresholds only, not anchored at (0, 0) and (1, 1), as the paper reports it.

    Raises:
        InputError: One side is empty or holds NaN.

    Reference:
        Vallez, Kucharavy & Dolamic, "Needle In A Haystack, Fast", 2022.

    Example:
        >>> auc_on_grid([1, 2], [2, 3], [0, 1, 2, 3])
        0.875
    """
    near, far = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    grid = np.sort(np.asarray(thresholds, np.float64))
    return float(np.trapezoid(_share_within(near, grid), _share_within(far, grid)))


def recall_at_fpr(positives: ArrayLike, negatives: ArrayLike, fpr: float) -> OperatingPoint:
    """The loosest threshold that detects no more than that share of the negatives, and its recall.

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
    near, far = _sorted(positives, "positives"), _sorted(negatives, "negatives")
    allowed = math.floor(round(fpr * len(far), 9))  # 0.07 x 100 is 7.000000000000001
    threshold = math.inf if allowed >= len(far) else float(np.nextafter(far[allowed], -np.inf))
    at = np.array([threshold])
    return OperatingPoint(float(_share_within(near, at)[0]), threshold, float(_share_within(far, at)[0]))


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a share, for independent trials.

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


def bootstrap_by_source(
    statistic: Statistic,
    positives: ArrayLike,
    negatives: ArrayLike,
    *,
    rng: np.random.Generator,
    repeats: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """The percentile interval of a statistic when whole source images are drawn again, with all their edits.

    Queries made from one image succeed and fail together, so drawing single queries would promise too much.

    Args:
        statistic: What is computed from flat positives and negatives, as `auc`.
        positives: Distances (source images, edits).
        negatives: Distances (source images, edits).
        rng: Decides which images are drawn.
        repeats: How often.
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
    values = [
        statistic(
            near[rng.integers(0, len(near), len(near))].ravel(),
            far[rng.integers(0, len(far), len(far))].ravel(),
        )
        for _ in range(repeats)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def supported(rate: float, n_sources: int) -> bool:
    """Whether that many independent source images can say anything about so small a rate.

    Example:
        >>> supported(0.005, 100), supported(0.005, 600)
        (False, True)
    """
    return round(rate * n_sources, 9) >= _FEWEST_EXPECTED


def _share_within(ordered: Values, thresholds: Values) -> Values:
    share: Values = np.searchsorted(ordered, thresholds, side="right") / len(ordered)
    return share


def _sorted(values: ArrayLike, what: str) -> Values:
    return np.sort(_checked(np.asarray(values, np.float64).ravel(), what))


def _by_source(values: ArrayLike, what: str) -> Values:
    array = np.asarray(values, np.float64)
    if array.ndim != 2:
        raise InputError(f"{what} have shape {array.shape} and must be (source images, edits)")
    return _checked(array, what)


def _checked(values: NDArray[Any], what: str) -> Values:
    if values.size == 0:
        raise InputError(f"there are no {what}")
    if np.isnan(values).any():
        raise InputError(f"{what} hold NaN, which is no distance; use infinity for what is never detected")
    return values
