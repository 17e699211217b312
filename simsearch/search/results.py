"""What a search finds: the nearest rows of each query, or all within a distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest rows of each query, nearest first.

    Attributes:
        distances: Float32 (q, k), padded with infinity.
        positions: Int64 (q, k) into the concatenation of the blocks, padded with -1.
        certified: Bool (q,), whether it is proved that no other row is nearer.
        measured: Int64 (q,), how many rows were measured in float64 for it.
    """

    distances: NDArray[np.float32]
    positions: NDArray[np.int64]
    certified: NDArray[np.bool_]
    measured: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Range:
    """The rows near each query, nearest first.

    Attributes:
        starts: Int64 (q + 1,); those of query i are `starts[i]` to `starts[i + 1]` below.
        distances: Float32 (m,).
        positions: Int64 (m,), into the concatenation of the blocks.
    """

    starts: NDArray[np.int64]
    distances: NDArray[np.float32]
    positions: NDArray[np.int64]
