"""Rows to search: clusters of non-negative rows with exact zeros, as pooled ReLU features are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clustered(n: int, d: int, *, seed: int, clusters: int = 40) -> NDArray[np.float16]:
    """Rows (n, d) around some centres, a tenth of their values zero; no two are equal."""
    rng = np.random.default_rng(seed)
    centres = rng.gamma(0.7, size=(clusters, d))
    rows = centres[rng.integers(0, clusters, n)] * rng.gamma(4, 0.25, (n, d))
    rows[rng.random((n, d)) < 0.1] = 0
    rows[:, 0] += 0.01  # none is all zeros
    return np.asarray(rows, np.float16)
