"""The Jensen-Shannon distance: scores in float32 with a bound on their error, and distances in float64 with theirs."""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.search.metrics.base import (
    DOUBLE_UNIT,
    SMALLEST_NORMAL,
    UNIT,
    Doubles,
    Measure,
    Prepared,
    Score,
    SearchMetric,
    dot,
    of_largest_one,
)
from simsearch.search.metrics.feature_maps import HELLINGER, Mapped
from simsearch.search.metrics.js_log_sums import log_sums

_NOTHING = 1e-30  # added to probabilities so that no logarithm meets zero; far below float32's rounding of any sum


@final
class JensenShannonScore(Score):
    """The divergence in nats, in the form with one logarithm a coordinate.

    J = ln 2 - 1/2 sum (p+q) ln (p+q) + 1/2 sum p ln p + 1/2 sum q ln q, where the last two sums are one number a row.
    """

    def prepare(self, rows: Tensor) -> Prepared:
        """Return rows divided by their sums, and 1/2 sum p ln p."""
        if rows.dtype == torch.float64:  # into the range of float32
            rows = rows / rows.amax(dim=1, keepdim=True)
        p = rows.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        p /= p.amax(dim=1, keepdim=True)
        p /= p.sum(dim=1, keepdim=True)
        p += _NOTHING
        return Prepared(p, 0.5 * torch.linalg.vecdot(p, p.log()))

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Return which rows have no positive sum, or a negative value."""
        largest = rows.amax(dim=1)
        return ~((largest > 0) & (largest < torch.inf) & (rows.amin(dim=1) >= 0))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return divergences in nats (q, n)."""
        sums = log_sums(a.rows, b.rows)
        return sums.mul_(-0.5).add_(math.log(2)).add_(a.term[:, None]).add_(b.term)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return divergences in nats."""
        return distance**2 * math.log(2)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Return the rounding of terms that sum to at most 2 ln 2d: logarithm, product, sum in 8 lanes or more."""
        return UNIT * (2 * math.log(2 * dimension) + 4) * (dimension / 8 + 16)


@final
class JensenShannonDistance(Measure):
    """As `simsearch.distance.js`."""

    def prepare(self, rows: Tensor) -> Tensor:
        """Return distributions."""
        p = rows.double()
        p = p / p.amax(dim=1, keepdim=True)
        p /= p.sum(dim=1, keepdim=True)
        return p

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return square roots of divergences in bits."""
        total = torch.add(a, b).clamp_min_(SMALLEST_NORMAL)
        surprise = torch.div(a, total).mul_(2).clamp_min_(SMALLEST_NORMAL).log_()
        nats = dot(a, surprise)
        torch.div(b, total, out=surprise).mul_(2).clamp_min_(SMALLEST_NORMAL).log_()
        nats += dot(b, surprise)
        bits: Tensor = nats.div_(2 * math.log(2)).clamp_(0, 1)
        return bits.sqrt_()

    def error(self, distances: Doubles, dimension: int) -> Doubles:
        """Return, for a divergence J in nats, 6 u + (2 d + 16) u A, with A half the sum of |p ln(2p/t)| + |q ln(2q/t)|.

        6 u from the arguments of the logarithms, whose relative error of 3 u counts with weight p or q; the rest from
        p and q, known within (d + 3) u, from the logarithms, the products and the sum. A <= J + sqrt(2 J): a term is
        at least (p - q) / 2, so that the negative ones sum to at most the total variation T, and J >= T^2 / 2.
        A root then errs by that over the root, or by the root of that, whichever is less.
        """
        nats = distances**2 * math.log(2)
        bits = DOUBLE_UNIT * (6 + (2 * dimension + 16) * (nats + np.sqrt(2 * nats))) * 1.01 / math.log(2)
        with np.errstate(divide="ignore"):
            return 2 * np.minimum(np.sqrt(bits), bits / distances)


def _features(rows: NDArray[Any]) -> NDArray[Any]:
    """Return square roots of distributions: their distance is Hellinger's."""
    scaled = of_largest_one(rows)
    scaled /= scaled.sum(axis=1, keepdims=True)
    np.sqrt(scaled, out=scaled)
    return scaled


METRIC = SearchMetric(
    lambda _, device: Mapped(HELLINGER, half=device.type == "cuda"), JensenShannonDistance(), _features
)
