"""The order of measured rows, exactly that of `simsearch.distance`.

Distances measured in batches are within a known error of the ones that `simsearch.distance` gives. Where the error
could change an order, the rounding to float32 or which side of the limit a row is on, and only there, the row is
measured again by `simsearch.distance` itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simsearch.search.asked import MOST_DISTANT, Wanted
from simsearch.search.measure import Doubles, Measured

Positions = NDArray[np.int64]
Official = Callable[[int, Positions], Doubles]
"""Gives the distances of query i, by its number, to the rows at some positions."""


def settle(
    measured: Measured, positions: Positions, official: Official, wanted: Wanted, ids: Positions | None = None
) -> tuple[Doubles, Positions]:
    """The nearest of the measured rows of each query; ties to the lower position, or the lower id.

    Args:
        measured: Distances and errors (q, m), infinite where nothing was measured.
        positions: (q, m).
        official: What a doubtful distance is replaced by.
        wanted: How many to return, and how far they may be.
        ids: What ties go by (q, m); by default positions.

    Returns:
        Distances (q, k), which round to the right float32, padded with infinity, and positions, padded with -1;
        (q, m) where m is less.
    """
    k = min(wanted.k, positions.shape[1])
    ids = positions if ids is None else ids
    order = np.lexsort((ids, wanted.key(measured.distances)), axis=-1)
    at = np.arange(len(order))[:, None], order
    distances, errors, positions, ids = measured.distances[at], measured.errors[at], positions[at], ids[at]
    doubtful = _doubtful(distances, errors, k, wanted)
    for i in np.flatnonzero(doubtful.any(axis=1)):
        which = np.flatnonzero(doubtful[i])
        distances[i, which] = np.minimum(official(int(i), positions[i, which]), MOST_DISTANT)
        order = np.lexsort((ids[i], wanted.key(distances[i])))
        distances[i], positions[i] = distances[i, order], positions[i, order]
    distances, positions = distances[:, :k], positions[:, :k]
    kept = (distances <= wanted.limit) & (distances < np.inf)
    return np.where(kept, distances, np.inf), np.where(kept, positions, -1)


def _doubtful(distances: Doubles, errors: Doubles, k: int, wanted: Wanted) -> NDArray[np.bool_]:
    """Which of the sorted distances (q, m) must be known better, for the k nearest to be right."""
    low, high = distances - errors, distances + errors
    near: NDArray[np.bool_] = (low <= wanted.no_farther(high[:, k - 1 : k])) & (distances < np.inf) & (errors > 0)
    with np.errstate(over="ignore"):
        doubtful = low.astype(np.float32) != high.astype(np.float32)
    doubtful |= (low <= wanted.limit) & (wanted.limit <= high)
    if not wanted.rounded:
        touching = low[:, 1:] <= np.maximum.accumulate(high, axis=1)[:, :-1]
        doubtful[:, 1:] |= touching
        doubtful[:, :-1] |= touching
    near &= doubtful
    return near
