"""Scores of a few queries on a GPU, without float32 copies of the rows.

With u = 2^-24 the rounding of float32: float16 values are exact in it, a query's are rounded once, roots and quotients
are known within 2 u. A product of d terms in any order is wrong by at most (d + 1) u of the product of the lengths
(Cauchy-Schwarz), a sum of d positive terms by d u of itself and its root by half of that: together (3/2 d + 16) u.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.search.metrics.base import UNIT, Prepared, Score
from simsearch.search.metrics.feature_maps import HELLINGER
from simsearch.search.metrics.l2 import EuclideanScore
from simsearch.search.scan.blocks import Scan

FEW = 8  # queries, beyond which a product of matrices pays for its copies
_METRICS = ("js", "cosine", "l2")
_QUERIES = (torch.float16, torch.float32)


@final
class DirectScore(Score):
    """By `gpu_kernels`: for js and cosine minus a product of roots or values of length 1, for l2 the squared gap."""

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._weight = HELLINGER.weight if metric == "js" else 1.0

    def prepare(self, rows: Tensor) -> Prepared:
        """Return float16 rows (n, d) as they are, and their sums or sums of squares."""
        from simsearch.search.few_queries.gpu_kernels import row_sums

        rows = rows.contiguous()
        return Prepared(rows, row_sums(rows, squares=self._metric != "js"))

    def prepare_queries(self, queries: Tensor) -> Prepared:
        """Return queries (q, d) prepared for `between`, and their sums of squares."""
        values = queries.double()
        terms = torch.linalg.vecdot(values, values)
        if self._metric == "js":
            values = (values / values.sum(dim=1, keepdim=True)).sqrt() * self._weight
        elif self._metric == "cosine":
            values = values / terms.sqrt()[:, None]
        return Prepared(values.to(torch.float32, memory_format=torch.contiguous_format), terms)

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Return which rows have no positive sum."""
        return ~((prepared.term > 0) & (prepared.term < torch.inf))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return scores (q, n), float32, of prepared queries and rows."""
        from simsearch.search.few_queries.gpu_kernels import row_scores

        return row_scores(a.rows, b.rows, b.term, roots=self._metric == "js", gaps=self._metric == "l2")

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the highest score of a row at that distance."""
        if self._metric == "l2":
            return distance**2
        return 2 * distance - 1 if self._metric == "cosine" else distance**2 * (math.log(2) / 2) - self._weight

    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """Return the bound of the module's docstring; for squared distances the larger one of products."""
        if self._metric == "l2":
            return EuclideanScore().error(dimension, largest)
        return 1.01 * self._weight * (1.5 * dimension + 16) * UNIT


def serves(scan: Scan, queries: Tensor) -> bool:
    """Return whether the queries are few enough, and the rows suitable, for this way."""
    return (
        scan.device.type == "cuda"
        and scan.metric in _METRICS
        and len(queries) <= FEW
        and queries.dtype in _QUERIES
        and all(str(block.dtype).removeprefix("torch.") == "float16" for block in scan.blocks)
        and importlib.util.find_spec("triton") is not None
    )


def direct_scan(scan: Scan, queries: Tensor) -> tuple[Scan, Prepared, int]:
    """Return the scan with direct scores, the queries prepared for them, and the rows of a chunk on the device."""
    if not serves(scan, queries):
        return scan, scan.score.prepare(queries), 0
    score = DirectScore(scan.metric)
    return replace(scan, score=score), score.prepare_queries(queries), max(1, scan.budget // (64 * len(queries)))
