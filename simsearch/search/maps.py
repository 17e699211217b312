"""Maps that turn the Jensen-Shannon divergence into a squared Euclidean distance, with bounds on both sides.

For a weight w and a frequency l let psi(x) = sqrt(w x) [cos(l ln x), sin(l ln x)], psi(0) = 0, for every coordinate
x of a distribution. With D = |psi(p) - psi(q)|^2, summed over coordinates, and J the divergence in nats,

    D <= J <= c D    for all distributions p and q.

Both are sums over coordinates of terms that are symmetric and homogeneous of degree 1 in (p_i, q_i). With x =
ln(p_i / q_i) / 2 the terms, divided by p_i + q_i, are (x tanh x - ln cosh x) / 2 and sum_w w (1 - cos(2 l x) / cosh x),
so that the bounds speak of one number x; the tests prove them on a grid with a margin for what lies between.
Because |psi(p)|^2 is the sum of the weights W for every p, D = 2 W - 2 psi(p) . psi(q): a matrix product.

Reference:
    Vedaldi & Zisserman, "Efficient additive kernels via explicit feature maps", 2012, for such maps without the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

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
