"""The order of measured rows, exactly that of `simsearch.distance`.

Distances measured in batches are within a known error of the ones that `simsearch.distance` gives. Where the error
could change an order, the rounding to float32 or which side of the limit a row is on, and only there, the row is
measured again by `simsearch.distance` itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simsearch.search.measure import Doubles, Measured

Positions = NDArray[np.int64]
Official = Callable[[int, Positions], Doubles]
"""Gives the distances of query i, by its number, to the rows at some positions."""


def settle(
    measured: Measured, positions: Positions, official: Official, *, k: int, limit: float
) -> tuple[Doubles, Positions]:
    """The k nearest of the measured rows of each query; ties to the lower position.

    Args:
        measured: Distances and errors (q, m), infinite where nothing was measured.
        positions: (q, m).
        official: What a doubtful distance is replaced by.
        k: How many to return.
        limit: Farther rows are left out.

    Returns:
        Distances (q, k), which round to the right float32, padded with infinity, and positions, padded with -1.
    """
    order = np.lexsort((positions, measured.distances), axis=-1)
    distances, errors = (np.take_along_axis(values, order, axis=1) for values in measured)
    positions = np.take_along_axis(positions, order, axis=1)
    doubtful = _doubtful(distances, errors, min(k, distances.shape[1]), limit)
    for i in np.flatnonzero(doubtful.any(axis=1)):
        which = np.flatnonzero(doubtful[i])
        distances[i, which] = official(int(i), positions[i, which])
        order = np.lexsort((positions[i], distances[i]))
        distances[i], positions[i] = distances[i, order], positions[i, order]
    distances, positions = distances[:, :k], positions[:, :k]
    out = np.full((len(distances), k), np.inf), np.full((len(distances), k), -1, np.int64)
    kept = (distances <= limit) & (distances < np.inf)  # a beginning of each line
    out[0][:, : distances.shape[1]][kept] = distances[kept]
    out[1][:, : distances.shape[1]][kept] = positions[kept]
    return out


def _doubtful(distances: Doubles, errors: Doubles, k: int, limit: float) -> NDArray[np.bool_]:
    """Which of the sorted distances (q, m) must be known better, for the k nearest to be right."""
    low, high = distances - errors, distances + errors
    near: NDArray[np.bool_] = (low <= high[:, k - 1 : k]) & (low <= limit) & (distances < np.inf) & (errors > 0)
    with np.errstate(over="ignore"):
        doubtful = low.astype(np.float32) != high.astype(np.float32)
    doubtful |= (low <= limit) & (limit <= high)
    touching = low[:, 1:] <= np.maximum.accumulate(high, axis=1)[:, :-1]
    doubtful[:, 1:] |= touching
    doubtful[:, :-1] |= touching
    near &= doubtful
    return near
