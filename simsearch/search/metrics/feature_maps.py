"""Scores of js as a matrix product of mapped rows: never above the divergence, and as cheap as a cosine.

A score is S = -psi(p) . psi(q), times a power of two. With D = 2 W + 2 S <= J, a row whose J is at most tau
has S <= tau / 2 - W: what scores higher is farther, and need not be measured. That is the certificate of an
exact answer.

How far a computed score can be from S, with u = 2^-24 the rounding of float32 and W the squared length of every psi:

- Roots r = sqrt(x) / sqrt(sum x) have a relative error of at most 4 u: the root, the division, the root of the sum
  (summed in float64), and u more where x itself was rounded to float32. Below float32's smallest numbers the error is
  absolute and under 1e-22, which the rounding up below absorbs.
- A feature r sqrt(w) cos(2 l ln r) has relative to r sqrt(w) the error of r, 2 u for its factors, 3 u for the cosine,
  and that of its angle: 2 l (4 u for the error of r, and |ln r| <= 88 times 4 u for the logarithm and the product). A
  cosine and a sine err together, which makes it sqrt(2) as much. For frequency 0 only 6 u remain.
- Kept in float16, each feature is rounded once more, relatively by 2^-11; scaled by 2^8 no feature of a probability
  above 2e-13 is subnormal, and the rest are absolutely wrong by at most 2^-33 each, together by 2^-33 sqrt(d W).
- A feature error of relative size e in each of two vectors changes their product by at most (2 e + e^2) W, because
  sum |psi_i| |phi_i| <= W (Cauchy-Schwarz).
- A product of n terms summed in float32 in any order is wrong by at most n u' W, where u' = u on a CPU, 2 u on tensor
  cores (they cut instead of rounding; products of float16 are exact there), and 2^-8 where torch's float32
  precision is not "highest".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.runtime.tiles import each_tile
from simsearch.search.metrics.base import HALF_SCALE, HALF_UNIT, UNIT, Prepared, Score, minus_product, product_unit


@final
class Mapped(Score):
    """Minus the product of mapped distributions; float16 operands on a GPU, float32 on a CPU."""

    finite = True

    def __init__(self, feature_map: FeatureMap, *, half: bool) -> None:
        self.map = feature_map
        self.half = half
        self.expansion = feature_map.features
        self.scale = HALF_SCALE**2 if half else 1.0

    def prepare(self, rows: Tensor) -> Prepared:
        """Return mapped rows (n, features x d), and their sums; a sum is NaN where a value is negative."""
        if self.expansion == 1:
            roots, sums = _roots(rows, math.sqrt(self.scale * self.map.weight))
            return Prepared(roots.half() if self.half else roots, sums)
        roots, sums = _roots(rows, 1.0)
        kind = torch.float16 if self.half else torch.float32
        out = torch.empty((len(rows), self.expansion, rows.shape[1]), dtype=kind, device=rows.device)
        for i, feature in enumerate(self.map.parts(roots)):
            out[:, i] = feature.mul_(HALF_SCALE) if self.half else feature
        return Prepared(out.flatten(1), sums)  # (n, features x d)

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Return which rows have no positive sum."""
        return ~((prepared.term > 0) & (prepared.term < torch.inf))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return scores (q, n), float32."""
        return minus_product(a.rows, b.rows)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the highest score of a row at that distance."""
        return self.scale * (distance**2 * (math.log(2) / 2) - self.map.weight)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Return the sum of the errors in the module's docstring, rounded up."""
        frequency = max(wave.frequency for wave in self.map.waves)
        feature = UNIT * (6 + (1.5 * (3 + 2 * frequency * (4 + 4 * 88)) if frequency else 0))
        if self.half:
            feature += HALF_UNIT * (1 + feature)
        unit = 2 * UNIT if self.half else product_unit()
        terms = self.expansion * dimension
        absolute = 2.0**-32 * math.sqrt(terms * self.map.weight) if self.half else 1e-18
        relative = 2 * feature + feature**2 + (terms + 1) * unit * (1 + 2 * feature)
        return self.scale * (1.001 * self.map.weight * relative + absolute)


def _roots(rows: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """Return roots of distributions times a factor (n, d), float32, and sums of rows (n,), NaN by a negative value."""
    if rows.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.uint8):
        rows = rows.double()
        rows = rows / rows.abs().amax(dim=1, keepdim=True)  # into the range of float32; signs stay
    values = rows.to(torch.float32, copy=True)
    if values.device.type == "cpu":  # where numpy is several times faster at roots and sums
        return values, torch.from_numpy(_roots_in_place(values.numpy(), factor))
    sums = torch.where(values.amin(dim=1) >= 0, values.sum(dim=1, dtype=torch.float64), torch.nan)
    values.sqrt_().mul_((factor / sums.sqrt()).to(torch.float32)[:, None])
    return values, sums


def _roots_in_place(values: NDArray[np.float32], factor: float) -> NDArray[np.float64]:
    """Turn rows into the same roots in place; return their sums."""
    sums = np.empty(len(values))

    def tile(part: slice) -> None:
        here = values[part]
        sums[part] = np.where(here.min(axis=1) >= 0, here.sum(axis=1, dtype=np.float64), np.nan)
        np.sqrt(here, out=here)
        np.multiply(here, (factor / np.sqrt(sums[part])).astype(np.float32)[:, None], out=here)

    each_tile(tile, values)
    return sums


_SMALLEST = 2.0**-126  # the smallest normal float32: its logarithm is finite, itself all but nothing


@dataclass(frozen=True, slots=True)
class Wave:
    """One pair of features: psi(x) = sqrt(weight x) [cos(frequency ln x), sin(frequency ln x)]."""

    frequency: float
    weight: float


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A map of distributions into a Euclidean space.

    Attributes:
        waves: What is computed for every coordinate; one of frequency 0 gives one feature, others two.
        looseness: The c of J <= c D.
    """

    waves: tuple[Wave, ...]
    looseness: float

    @property
    def features(self) -> int:
        """Numbers for a coordinate."""
        return sum(2 if wave.frequency else 1 for wave in self.waves)

    @property
    def weight(self) -> float:
        """The sum of the weights: the squared length of every mapped distribution."""
        return math.fsum(wave.weight for wave in self.waves)

    def parts(self, roots: Tensor) -> Iterator[Tensor]:
        """Map distributions, one feature of every coordinate after the other.

        Args:
            roots: Square roots of distributions (n, d), float.

        Yields:
            `features` times (n, d), of the same type.

        Example:
            >>> p = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
            >>> mapped = torch.cat(list(HELLINGER.parts(p.sqrt())), dim=1)
            >>> torch.cdist(mapped, mapped).square()[0, 1] / math.log(2)
            tensor(1.0000)
        """
        for wave in self.waves:
            lengths = roots * math.sqrt(wave.weight)
            if wave.frequency:
                angles = roots.clamp_min(_SMALLEST).log_().mul_(2 * wave.frequency)
                yield torch.cos(angles).mul_(lengths)
                yield angles.sin_().mul_(lengths)
            else:
                yield lengths


HELLINGER = FeatureMap((Wave(0.0, math.log(2) / 2),), 1.4427)
TWO = FeatureMap((Wave(0.3325, 0.32131),), 1.0791)
FOUR = FeatureMap((Wave(0.2194, 0.309049), Wave(0.8191, 0.0345065)), 1.0088)
