"""Fast float32 stand-ins for the distances, each with a bound on its error, so that an exact answer can be proved.

A score rises with its distance. It is computed for whole blocks on any device; the few rows that can be among the
nearest are then measured again in float64 by `simsearch.distance`.
"""

from __future__ import annotations

import importlib.util
import math
from abc import ABC, abstractmethod
from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsearch.runtime.tiles import each_tile
from simsearch.search.metrics.js_log_sums import log_sums
from simsearch.search.packing import as_words

UNIT = 2.0**-24  # relative rounding of float32
HALF_UNIT = 2.0**-11  # of float16
HALF_SCALE = 2.0**8  # what float16 features are multiplied by, so that hardly one is subnormal
_COARSE_UNIT = 2.0**-8  # and of what matrix products may use when torch is told that precision matters less
_TINY = 2.0**-120  # more than float32 loses of a number or product near zero, even where it drops subnormal ones
_NOTHING = 1e-30  # added to probabilities so that no logarithm meets zero; far below float32's rounding of any sum


class Prepared(NamedTuple):
    """Rows as a score wants them, and one number a row."""

    rows: Tensor
    term: Tensor


class Score(ABC):
    """A float32 number that rises with a distance.

    Attributes:
        finite: Whether every score of a row that has distances is a number, so that none must be looked for.
        expansion: Numbers that a prepared row takes for each of its columns.
        own_kernel: Whether the nearest rows are found by a kernel of their own, without such scores.
    """

    finite = False
    expansion = 1
    own_kernel = False

    @abstractmethod
    def prepare(self, rows: Tensor) -> Prepared:
        """Rows (n, d) of the stored type, on the device, made ready for `between`."""

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Which rows (n,) may be such that no distance is defined on them."""
        largest = rows.abs().amax(dim=1)
        return ~((largest > 0) & (largest < torch.inf))

    @abstractmethod
    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Scores (q, n), float32."""

    @abstractmethod
    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """The scores that exact arithmetic would give at these distances."""

    @abstractmethod
    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """How far a score can be from exact, given the largest term of the queries and of the rows."""


@final
class JensenShannon(Score):
    """The divergence in nats, in the form with one logarithm a coordinate.

    J = ln 2 - 1/2 sum (p+q) ln (p+q) + 1/2 sum p ln p + 1/2 sum q ln q, where the last two sums are one number a row.
    """

    def prepare(self, rows: Tensor) -> Prepared:
        """Rows divided by their sums, and 1/2 sum p ln p."""
        if rows.dtype == torch.float64:  # into the range of float32
            rows = rows / rows.amax(dim=1, keepdim=True)
        p = rows.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        p /= p.amax(dim=1, keepdim=True)
        p /= p.sum(dim=1, keepdim=True)
        p += _NOTHING
        return Prepared(p, 0.5 * torch.linalg.vecdot(p, p.log()))

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Rows with a negative value, too."""
        largest = rows.amax(dim=1)
        return ~((largest > 0) & (largest < torch.inf) & (rows.amin(dim=1) >= 0))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Divergences in nats (q, n)."""
        sums = log_sums(a.rows, b.rows)
        return sums.mul_(-0.5).add_(math.log(2)).add_(a.term[:, None]).add_(b.term)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Divergences in nats."""
        return distance**2 * math.log(2)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Rounding of terms that sum to at most 2 ln 2d: logarithm, product, and a sum in eight lanes or more."""
        return UNIT * (2 * math.log(2 * dimension) + 4) * (dimension / 8 + 16)


@final
class Cosine(Score):
    """Minus the cosine, as a matrix product, times a power of two; float16 operands on a GPU, float32 on a CPU."""

    finite = True

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.scale = HALF_SCALE**2 if half else 1.0

    def prepare(self, rows: Tensor) -> Prepared:
        """Rows of length 1, and their largest absolute values."""
        if rows.dtype == torch.float64:  # into the range of float32
            rows = rows / rows.abs().amax(dim=1, keepdim=True)
        unit = rows.to(torch.float32, copy=True)
        if unit.device.type == "cpu":
            largest = torch.from_numpy(_unit_in_place(unit.numpy()))
        else:
            largest = torch.linalg.vector_norm(unit, ord=torch.inf, dim=1)
            unit /= largest[:, None]
            unit /= torch.linalg.vector_norm(unit, dim=1, keepdim=True)
        return Prepared(unit.mul_(HALF_SCALE).half() if self.half else unit, largest)

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Rows whose largest absolute value is no positive number."""
        return ~((prepared.term > 0) & (prepared.term < torch.inf))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Scores (q, n), float32."""
        return minus_product(a.rows, b.rows)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Minus cosine."""
        return self.scale * (2 * distance - 1)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Rounding of a product of unit vectors, and of their lengths; of float16 as in `mapped`."""
        if not self.half:
            return product_unit() * (2 * dimension + 16)
        relative = 2 * HALF_UNIT + HALF_UNIT**2 + 1.001 * UNIT * (3 * dimension + 16)
        return self.scale * (relative + 2.0**-32 * math.sqrt(dimension))


@final
class Euclidean(Score):
    """The squared distance, as a matrix product."""

    def prepare(self, rows: Tensor) -> Prepared:
        """Rows, and their squared lengths."""
        values = rows.to(torch.float32)
        return Prepared(values, torch.linalg.vecdot(values, values))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Squared distances (q, n), not clipped at zero."""
        return (a.rows @ b.rows.T).mul_(-2).add_(a.term[:, None]).add_(b.term)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared distances."""
        with np.errstate(over="ignore"):
            return np.square(distance)

    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """Rounding of the three terms."""
        lengths = math.sqrt(largest[0]) + math.sqrt(largest[1])
        return product_unit() * (2 * dimension + 16) * lengths**2 + (dimension + 1) * _TINY


@final
class CityBlock(Score):
    """The sum of absolute differences itself."""

    def prepare(self, rows: Tensor) -> Prepared:
        """Rows, and their sums of absolute values."""
        values = rows.to(torch.float32)
        return Prepared(values, values.abs().sum(dim=1))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Distances (q, n)."""
        return torch.cdist(a.rows, b.rows, p=1)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """The distances."""
        return distance

    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """Rounding of the sum."""
        return UNIT * (dimension + 16) * (largest[0] + largest[1]) + (dimension + 1) * _TINY


class Bits(Score):
    """The number of differing bits, which float32 holds exactly."""

    finite = True

    def __init__(self, width: int) -> None:
        self.bits = 8 * width

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """None: every code has distances."""
        return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)

    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Differing bits."""
        return distance * self.bits

    def error(self, dimension: int, largest: tuple[float, float]) -> float:  # noqa: ARG002
        """Half a bit: counts are exact, but the distance of a count is rounded."""
        return 0.5


@final
class BitCount(Bits):
    """The number of differing bits, counted word by word on a CPU."""

    expansion = 8

    def prepare(self, rows: Tensor) -> Prepared:
        """Codes (n, bytes) as 64-bit words, padded with zeros."""
        return Prepared(torch.from_numpy(as_words(rows.numpy(), np.int64)), torch.zeros(len(rows)))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Differing bits (q, n)."""
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
        """Codes (n, bytes) as 32-bit words, padded with zeros."""
        from simsearch.search.metrics.hamming_triton import as_int32

        return Prepared(as_int32(rows), torch.zeros(len(rows), device=rows.device))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Differing bits (q, n)."""
        from simsearch.search.metrics.hamming_triton import bit_counts

        return bit_counts(a.rows, b.rows)


@final
class BitProduct(Bits):
    """The number of differing bits as a matrix product of signs, for a device without such a kernel."""

    expansion = 8

    def prepare(self, rows: Tensor) -> Prepared:
        """Bits of the codes as signs (n, bits)."""
        weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=rows.device)
        bits = (rows[:, :, None] & weights).ne(0).flatten(1)  # (n, bits)
        return Prepared(bits.to(torch.float32).mul_(2).sub_(1), torch.zeros(len(rows), device=rows.device))

    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Differing bits (q, n)."""
        return (a.rows @ b.rows.T).neg_().add_(self.bits).mul_(0.5)


def score_for(metric: str, width: int, device: torch.device) -> Score:
    """The score that a first look at all rows goes by, for rows of that many columns, on that device."""
    from simsearch.search.metrics.feature_maps import HELLINGER, Mapped

    scores: dict[str, Score] = {
        "js": Mapped(HELLINGER, half=device.type == "cuda"),
        "cosine": Cosine(half=device.type == "cuda"),
        "l2": Euclidean(),
        "l1": CityBlock(),
        "hamming": _bits(width, device),
    }
    return scores[metric]


def _bits(width: int, device: torch.device) -> Score:
    if device.type == "cpu":
        return BitCount(width)
    return BitProduct(width) if importlib.util.find_spec("triton") is None else BitKernel(width)


def _unit_in_place(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (n, d) to length 1; the largest absolute values."""
    largest = np.empty(len(values), np.float32)

    def tile(part: slice) -> None:
        here = values[part]
        largest[part] = np.maximum(here.max(axis=1), -here.min(axis=1))
        np.divide(here, largest[part, None], out=here)
        np.divide(here, np.sqrt(np.vecdot(here, here))[:, None], out=here)

    each_tile(tile, values)
    return largest


def minus_product(a: Tensor, b: Tensor) -> Tensor:
    """Minus the products of rows (q, n), summed in float32, of float32 or float16 operands."""
    minus = -a
    if a.device.type == "cpu":  # where float16 is the twin of the GPU's way, for tests
        return minus.float() @ b.float().T
    if a.dtype == torch.float32:
        return minus @ b.T
    product: Tensor = torch.mm(minus, b.T, out_dtype=torch.float32)
    return product


def product_unit() -> float:
    """The relative rounding of a float32 matrix product."""
    try:
        return UNIT if torch.get_float32_matmul_precision() == "highest" else _COARSE_UNIT
    except RuntimeError:  # the precision was set for each backend by itself, which this question does not answer
        return _COARSE_UNIT
