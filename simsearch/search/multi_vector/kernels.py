"""Compiled loops over pairs of images with several rows each: the cutoff-th smallest of their nearest-row distances.

They release the GIL, so that threads can share the query images. Images are given by the starts of their
rows: (n + 1,) int64 with the end of the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from simsearch.runtime.jit import compiled
from simsearch.search.hamming.kernels import popcount


@compiled("parts hamming")
def hamming(a: Any, b: Any, cutoff: int, out: NDArray[np.float64]) -> None:
    """Write the differing bits of each pair of images into `out` (q, n), which starts as infinity.

    Args:
        a: Codes of the query images (p, words) uint64, and their starts.
        b: The same of the database.
        cutoff: Which of a query image's distances counts.
        out: The result, for these query images.
    """
    a_codes, a_starts = a
    b_codes, b_starts = b
    words = a_codes.shape[1]
    for i in range(len(a_starts) - 1):
        first, rows = a_starts[i], a_starts[i + 1] - a_starts[i]
        if rows < cutoff:
            continue
        nearest = np.empty(rows)
        for j in range(len(b_starts) - 1):
            if b_starts[j] == b_starts[j + 1]:
                continue
            for r in range(rows):
                low = np.uint64(64 * words)
                for s in range(b_starts[j], b_starts[j + 1]):
                    count = np.uint64(0)
                    for w in range(words):
                        count += popcount(a_codes[first + r, w] ^ b_codes[s, w])
                    low = min(low, count)
                nearest[r] = low
            out[i, j] = _smallest(nearest, cutoff)


@compiled("parts euclidean")
def euclidean(a: Any, b: Any, scores: Any, cutoff: int, out: NDArray[np.float64]) -> None:
    """Write the squared distance of each pair of images into `out` (q, n), which starts as infinity.

    Float32 scores decide which pairs of rows are measured in float64: all that the error of a score leaves open.

    Args:
        a: Rows of the query images (p, d) float64, their squared lengths once scaled (p,) float32, and their starts.
        b: The same of the database.
        scores: Products of the scaled rows (p, r) float32, and the largest error of a scaled squared distance.
        cutoff: Which of a query image's distances counts.
        out: The result, for these query images.
    """
    a_rows, a_terms, a_starts = a
    b_rows, b_terms, b_starts = b
    products, error = scores
    for i in range(len(a_starts) - 1):
        first, rows = a_starts[i], a_starts[i + 1] - a_starts[i]
        if rows < cutoff:
            continue
        lows, exact = np.empty(rows), np.empty(rows)
        for j in range(len(b_starts) - 1):
            start, stop = b_starts[j], b_starts[j + 1]
            if start == stop:
                continue
            for r in range(rows):
                exact[r] = lows[r] = _lowest(products[first + r, start:stop], b_terms[start:stop]) + a_terms[first + r]
            highest = _smallest(exact, cutoff) + 2 * error
            for r in range(rows):
                exact[r] = np.inf
                if lows[r] <= highest:
                    limit = lows[r] - a_terms[first + r] + 2 * error
                    for s in range(start, stop):
                        if b_terms[s] - 2 * products[first + r, s] <= limit:
                            exact[r] = min(exact[r], _squared_gap(a_rows[first + r], b_rows[s]))
            out[i, j] = _smallest(exact, cutoff)


@njit(nogil=True, fastmath={"nnan", "nsz"})
def _lowest(products: NDArray[np.float32], terms: NDArray[np.float32]) -> Any:
    """Return the smallest score of one row, less the terms that all share; finite numbers only, vectorised."""
    low = np.float32(np.inf)
    for s in range(len(products)):
        low = min(low, terms[s] - np.float32(2) * products[s])
    return low


@njit(nogil=True)
def _squared_gap(u: NDArray[np.float64], v: NDArray[np.float64]) -> Any:
    total = 0.0
    for k in range(len(u)):
        total += (u[k] - v[k]) * (u[k] - v[k])
    return total


@njit(nogil=True)
def _smallest(values: NDArray[np.float64], k: int) -> Any:
    """Return the k-th smallest value; those before it become infinite."""
    for _ in range(k - 1):
        values[values.argmin()] = np.inf
    return values.min()
