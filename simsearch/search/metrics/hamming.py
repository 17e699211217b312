"""Differing bits: counts on any device, and shares in float64."""

from __future__ import annotations

import importlib.util
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.search.metrics.base import Doubles, Measure, Prepared, Score, SearchMetric
from simsearch.search.packing import as_words


class Bits(Score):
    """The number of differing bits, which float32 holds exactly."""

    finite = True

    def __init__(self, width: int) -> None:
        self.bits = 8 * width

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Return no rows: every code has distances."""
        return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return differing bits."""
        return distance * self.bits

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Return half a bit: counts are exact, but the distance of a count is rounded."""
        return 0.5


@final
class BitCount(Bits):
    """The number of differing bits, counted word by word on a CPU."""

    expansion = 8

    def prepare(self, rows: Tensor) -> Prepared:
        """Return codes (n, bytes) as 64-bit words, padded with zeros."""
        return Prepared(torch.from_numpy(as_words(rows.numpy(), np.int64)), torch.zeros(len(rows)))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return differing bits (q, n)."""
        counts = np.zeros((len(a.rows), len(b.rows)), np.float32)
        for x, y in zip(a.rows.numpy().T, b.rows.numpy().T, strict=True):
            counts += np.bitwise_count((x[:, None] ^ y).view(np.uint64))
        return torch.from_numpy(counts)


@final
class BitKernel(Bits):
    """The number of differing bits, by a compiled kernel, for a GPU."""

    expansion = 1

    def __init__(self, width: int) -> None:
        from simsearch.search.metrics.hamming_triton import MOST_WORDS

        super().__init__(width)
        self.own_kernel = width <= 4 * MOST_WORDS

    def prepare(self, rows: Tensor) -> Prepared:
        """Return codes (n, bytes) as 32-bit words, padded with zeros."""
        from simsearch.search.metrics.hamming_triton import as_int32

        return Prepared(as_int32(rows), torch.zeros(len(rows), device=rows.device))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return differing bits (q, n)."""
        from simsearch.search.metrics.hamming_triton import bit_counts

        return bit_counts(a.rows, b.rows)


@final
class BitProduct(Bits):
    """The number of differing bits as a matrix product of signs, for a device without such a kernel."""

    expansion = 8

    def prepare(self, rows: Tensor) -> Prepared:
        """Return bits of the codes as signs (n, bits)."""
        weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=rows.device)
        bits = (rows[:, :, None] & weights).ne(0).flatten(1)  # (n, bits)
        return Prepared(bits.to(torch.float32).mul_(2).sub_(1), torch.zeros(len(rows), device=rows.device))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return differing bits (q, n)."""
        return (a.rows @ b.rows.T).neg_().add_(self.bits).mul_(0.5)


def score_on(width: int, device: torch.device) -> Score:
    """Return the score for codes of so many bytes on that device."""
    if device.type == "cpu":
        return BitCount(width)
    return BitProduct(width) if importlib.util.find_spec("triton") is None else BitKernel(width)


@final
class HammingDistance(Measure):
    """As `simsearch.distance.hamming`."""

    def prepare(self, rows: Tensor) -> Tensor:
        """Return codes as they are."""
        return rows

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return shares of differing bits."""
        counts = torch.tensor([i.bit_count() for i in range(256)], dtype=torch.float64, device=a.device)
        return counts[torch.bitwise_xor(a, b).int()].sum(dim=1) / (8 * a.shape[1])

    def error(self, distances: Doubles, dimension: int) -> Doubles:  # noqa: ARG002
        """Return zeros: counts are exact, and both divide once."""
        return np.zeros_like(distances)


METRIC = SearchMetric(score_on, HammingDistance())
