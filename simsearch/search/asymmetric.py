"""Distances from rows that kept their margins to codes that did not: a bit counts by how surely the query has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import check_rows
from simsearch.errors import RowError

_CELLS = 1 << 22  # bits unpacked at once


def asymmetric(margins: NDArray[Any], codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The share of a query's margins that lies on the other side than a code says: (q, n), in [0, 1].

    With equal margins it is the Hamming distance. It ranks better than bits against bits, at the same storage.

    Args:
        margins: Signed distances of the queries from each plane (q, bits), as `Quantiser.margins` gives them.
        codes: Packed codes (n, bytes).

    Raises:
        RowError: The codes are not as long as the margins, or a query's margins are all zero.
        MetricError: The codes are not uint8.

    Reference:
        Gordo, Perronnin, Gong, Lazebnik, "Asymmetric distances for binary embeddings", 2014.

    Example:
        >>> asymmetric(np.array([[3.0, -1.0]]), np.array([[0b11000000], [0b01000000]], np.uint8))
        array([[0.25, 1.  ]])
    """
    check_rows(margins, metric=None, what="query")
    bits = margins.shape[1]
    check_rows(codes, metric="hamming", what="code")
    if codes.shape[1] != -(-bits // 8):
        raise RowError(f"codes of {codes.shape[1]} bytes do not have the {bits} bits of the queries")
    weights = np.abs(margins).astype(np.float64)
    total = weights.sum(axis=1)
    signed = weights * np.where(margins > 0, 1.0, -1.0)
    out = np.empty((len(margins), len(codes)))
    step = max(1, _CELLS // bits)
    for start in range(0, len(codes), step):
        part = slice(start, start + step)
        sides = np.unpackbits(codes[part], axis=1, count=bits) * 2.0 - 1.0
        out[:, part] = signed @ sides.T
    return np.asarray(np.clip((1 - out / total[:, None]) / 2, 0, 1))
