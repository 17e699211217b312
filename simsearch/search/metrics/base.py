"""What search knows of a metric: fast float32 scores with a bound on their error, and float64 distances with theirs.

A score rises with its distance. It is computed for whole blocks on any device; the few rows that can be among the
nearest are then measured again in float64, as `simsearch.distance` measures them: so an exact answer can be proved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Doubles = NDArray[np.float64]
DOUBLE_UNIT = 2.0**-53
SMALLEST_NORMAL = 2.0**-1022  # the smallest normal float64
SMALLEST = 2.0**-1074  # and the smallest of all

UNIT = 2.0**-24  # relative rounding of float32
HALF_UNIT = 2.0**-11  # of float16
HALF_SCALE = 2.0**8  # what float16 features are multiplied by, so that hardly one is subnormal
_COARSE_UNIT = 2.0**-8  # and of matrix products when torch's float32 precision is not "highest"
TINY = 2.0**-120  # more than float32 loses of a number or product near zero, even where it drops subnormal ones


class Prepared(NamedTuple):
    """Rows prepared for a score, and one number a row."""

    rows: Tensor
    term: Tensor


class Score(ABC):
    """A float32 number that rises with a distance.

    Attributes:
        finite: Whether every score of a row that has distances is a number.
        expansion: Numbers that a prepared row takes for each of its columns.
        own_kernel: Whether the nearest rows are found by a kernel of their own, without such scores.
    """

    finite = False
    expansion = 1
    own_kernel = False

    @abstractmethod
    def prepare(self, rows: Tensor) -> Prepared:
        """Return rows (n, d) of the stored type, on the device, prepared for `between`."""

    def suspects(self, rows: Tensor, prepared: Prepared) -> Tensor:  # noqa: ARG002
        """Return which rows (n,) may have no distances."""
        largest = rows.abs().amax(dim=1)
        return ~((largest > 0) & (largest < torch.inf))

    @abstractmethod
    def between(self, a: Prepared, b: Prepared) -> Tensor:
        """Return scores (q, n), float32."""

    @abstractmethod
    def of(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores that exact arithmetic would give at these distances."""

    @abstractmethod
    def error(self, dimension: int, largest: tuple[float, float]) -> float:
        """Return how far a score can be from exact, given the largest term of the queries and of the rows."""


def of_largest_one(rows: NDArray[Any]) -> NDArray[Any]:
    """Return rows (n, d) divided by their largest absolute values, so that no sum overflows; zeros stay."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled: NDArray[Any] = rows / np.where(largest > 0, largest, 1)
    return scaled


def minus_product(a: Tensor, b: Tensor) -> Tensor:
    """Return minus the products of rows (q, n), summed in float32, of float32 or float16 operands."""
    minus = -a
    if a.device.type == "cpu":  # where float16 stands in for the GPU's, for tests
        return minus.float() @ b.float().T
    if a.dtype == torch.float32:
        return minus @ b.T
    product: Tensor = torch.mm(minus, b.T, out_dtype=torch.float32)
    return product


def product_unit() -> float:
    """Return the relative rounding of a float32 matrix product."""
    try:
        return UNIT if torch.get_float32_matmul_precision() == "highest" else _COARSE_UNIT
    except RuntimeError:  # the precision was set for each backend by itself
        return _COARSE_UNIT


class Measure(ABC):
    """A distance between the two rows of each pair."""

    @abstractmethod
    def prepare(self, rows: Tensor) -> Tensor:
        """Return rows (c, d) in the form that `between` takes."""

    @abstractmethod
    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """Return distances (c,), float64, of prepared a (c, d) and b (c, d)."""

    @abstractmethod
    def error(self, distances: Doubles, dimension: int) -> Doubles:
        """Return how far two float64 computations of these distances can be apart."""


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return products of pairs of rows (c,); on a CPU by numpy, which needs no memory between."""
    if a.device.type == "cpu":
        with np.errstate(over="ignore"):
            return torch.from_numpy(np.vecdot(a.numpy(), b.numpy()))
    product: Tensor = torch.linalg.vecdot(a, b)
    return product


@dataclass(frozen=True, slots=True)
class SearchMetric:
    """The score, measure and features of a metric, as all of search uses them.

    Attributes:
        score: From the columns of a row and a device to the score of the first pass.
        measure: Distances of pairs in float64.
        features: Maps rows (n, d) to float features whose Euclidean distance orders them nearly as the metric does, for
            indexes. None where there is no such map, or rows are codes.
    """

    score: Callable[[int, torch.device], Score]
    measure: Measure
    features: Callable[[NDArray[Any]], NDArray[Any]] | None = None
