"""Distances between rows: js, cosine, l1, l2, hamming; exact in float64, safe with zeros, lower is more similar.

Every function takes queries `a` (q, d) and rows `b` (n, d) and returns (q, n) float64. Equal rows are at distance
exactly 0. Memory beyond the arguments and the result stays bounded, whatever q and n. `METRICS` maps each name to its
`Metric`; `Rows` and `Distances` are the types of arguments and results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import MetricError, RowError

__all__ = [
    "METRICS",
    "Distances",
    "Metric",
    "Rows",
    "by_name",
    "check_rows",
    "cosine",
    "hamming",
    "js",
    "l1",
    "l2",
    "metric_name",
]

Rows: TypeAlias = NDArray[Any]
Distances: TypeAlias = NDArray[np.float64]

_CELLS = 1 << 16  # coordinates of a tile: four float64 temporaries of 512 KiB, which stay in a core's cache
_CONVERTED_CELLS = 1 << 22  # coordinates held in float64 at once: 32 MiB
_SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)
_SMALLEST = float(np.finfo(np.float64).smallest_subnormal)


def js(a: Rows, b: Rows) -> Distances:
    """Return the Jensen-Shannon distance, the root of the divergence in bits, between rows divided by their sums.

    Args:
        a: Queries (q, d), non-negative.
        b: Rows (n, d), non-negative.

    Returns:
        Distances (q, n), float64 in [0, 1]; a metric.

    Raises:
        RowError: A row is not finite, is all zeros, or the dimensions differ.
        MetricError: A row has a negative value.

    Reference:
        Endres & Schindelin, "A new metric for probability distributions", 2003.

    Example:
        >>> js(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 3.0]]))
        array([[0., 1.]])
    """
    _check_pair(a, b, "js")
    divergence = _pairwise(a, b, _to_distributions, _divergence)
    return np.sqrt(np.clip(divergence, 0, 1, out=divergence), out=divergence)


def cosine(a: Rows, b: Rows) -> Distances:
    """Return the cosine distance (1 - cos) / 2, in [0, 1] (q, n).

    Args:
        a: Queries (q, d).
        b: Rows (n, d).

    Raises:
        RowError: A row is not finite, is all zeros, or the dimensions differ.

    Example:
        >>> cosine(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
        array([[0. , 0.5, 1. ]])
    """
    _check_pair(a, b, "cosine")
    # |u - v|^2 / 4 equals (1 - cos) / 2, and loses no digits for near rows as 1 - cos does.
    distances = _pairwise(a, b, _to_unit_length, _squared_gap) / 4
    return np.clip(distances, 0, 1, out=distances)


def l1(a: Rows, b: Rows) -> Distances:
    """Return the sum of absolute differences, in feature units (q, n).

    Args:
        a: Queries (q, d).
        b: Rows (n, d).

    Raises:
        RowError: A row is not finite, is all zeros, or the dimensions differ.

    Example:
        >>> l1(np.array([[1.0, 2.0]]), np.array([[4.0, 6.0]]))
        array([[7.]])
    """
    _check_pair(a, b, "l1")
    return _pairwise(a, b, _to_double, _absolute_gap)


def l2(a: Rows, b: Rows) -> Distances:
    """Return the Euclidean distance, in feature units (q, n).

    Args:
        a: Queries (q, d).
        b: Rows (n, d).

    Raises:
        RowError: A row is not finite, is all zeros, or the dimensions differ.

    Example:
        >>> l2(np.array([[1.0, 2.0]]), np.array([[4.0, 6.0]]))
        array([[5.]])
    """
    _check_pair(a, b, "l2")
    return np.sqrt(_pairwise(a, b, _to_double, _squared_gap))


def hamming(a: Rows, b: Rows, *, bits: int | None = None) -> Distances:
    """Return the share of differing bits between packed codes, in [0, 1] (q, n).

    Args:
        a: Queries (q, bytes), uint8 as `numpy.packbits(..., axis=1)` writes them.
        b: Rows (n, bytes), uint8.
        bits: Length of a code when it does not fill its last byte; by default 8 x bytes. Unused bits must be zero.

    Raises:
        RowError: The lengths of the codes differ, or `bits` does not fit them.
        MetricError: The rows are not uint8.

    Example:
        >>> hamming(np.array([[0b11110000]], np.uint8), np.array([[0b11111111]], np.uint8))
        array([[0.5]])
    """
    _check_pair(a, b, "hamming")
    width = a.shape[1]
    length = 8 * width if bits is None else bits
    if not 8 * (width - 1) < length <= 8 * width:
        raise RowError(f"codes of {width} bytes cannot hold {length} bits; pass the length the codes were made with")
    return _pairwise(a, b, _as_they_are, _differing_bits) / length


@dataclass(frozen=True, slots=True)
class Metric:
    """A distance by its name, with its properties; called with queries and rows it returns the distances.

    Attributes:
        name: As users write it.
        distance: From queries (q, d) and rows (n, d) to distances (q, n), float64.
        largest: The largest distance of two rows.
        of_codes: Whether rows are packed codes, uint8.
        non_negative: Whether it is defined for rows without negative values only.
        indexed: Whether an index can serve it: there is a feature map whose Euclidean distance orders rows nearly as it
            does, or rows are codes.
        needs_length: Whether a row is normalised, so that one of zeros has no distances.
    """

    name: str
    distance: Callable[[Rows, Rows], Distances]
    largest: float = float("inf")
    of_codes: bool = False
    non_negative: bool = False
    indexed: bool = True
    needs_length: bool = False

    def __call__(self, a: Rows, b: Rows, /) -> Distances:
        """Return the distances (q, n), float64, from queries (q, d) to rows (n, d)."""
        return self.distance(a, b)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("js", js, largest=1.0, non_negative=True, needs_length=True),
        Metric("cosine", cosine, largest=1.0, needs_length=True),
        Metric("l1", l1, indexed=False),
        Metric("l2", l2),
        Metric("hamming", hamming, largest=1.0, of_codes=True),
    )
}
"""Every distance, by its name; a further one is a function and a line here, and a file in `search/metrics/`."""


def by_name(metric: str) -> Metric:
    """Return the metric of that name.

    Raises:
        MetricError: There is none.

    Example:
        >>> by_name("js").non_negative, by_name("l2").largest
        (True, inf)
    """
    if metric not in METRICS:
        raise MetricError(f"no metric {metric!r}; choose one of {', '.join(METRICS)}")
    return METRICS[metric]


def metric_name(value: str) -> str:
    """Return the name of a distance, for settings that are checked when they are read.

    Raises:
        ValueError: There is no such distance.
    """
    if value not in METRICS:
        raise ValueError(f"no metric {value!r}; choose one of {', '.join(METRICS)}")
    return value


def check_rows(
    rows: Rows, *, dimension: int | None = None, metric: str | None = None, what: str = "row", start: int = 0
) -> None:
    """Refuse rows that have no distances, naming the first invalid one.

    Args:
        rows: Array (n, d) of any float type or uint8.
        dimension: The required d; by default anything above 0.
        metric: Of the rows; by default only what holds for every metric is checked.
        what: The name of a row in the message.
        start: The index of the first row, where these are part of a larger array.

    Raises:
        RowError: The array is not (n, d), or a row holds NaN or infinity or (floats only) nothing but zeros.
        MetricError: The metric does not exist, needs uint8 codes and got none, or is js and a value is negative.

    Example:
        >>> check_rows(np.array([[1.0, 0.0], [0.0, np.nan]]), what="query")
        Traceback (most recent call last):
        simsearch.errors.RowError: query 1 holds NaN or infinity; leave it out or embed it again
    """
    known = None if metric is None else by_name(metric)
    if rows.ndim != 2 or rows.shape[1] == 0 or (dimension is not None and rows.shape[1] != dimension):
        wanted = "(n, d)" if dimension is None else f"(n, {dimension})"
        raise RowError(
            f"{_plural(what)} have shape {rows.shape} and must have {wanted}; were they made by the same model?"
        )
    if rows.dtype.kind not in "fiu":
        raise RowError(f"{_plural(what)} are {rows.dtype} and must be numbers")
    if known is not None and known.of_codes and rows.dtype != np.uint8:
        raise MetricError(
            f"{known.name} needs packed uint8 codes and the {_plural(what)} are {rows.dtype}; use another metric"
        )
    step = max(1, _CONVERTED_CELLS // rows.shape[1])
    for i in range(0, len(rows), step):
        _check_block(rows[i : i + step], start + i, known, what)


def _check_block(rows: Rows, start: int, metric: Metric | None, what: str) -> None:
    if rows.dtype.kind == "f":
        if rows.dtype.itemsize > 8:  # distances are computed in float64
            with np.errstate(over="ignore", under="ignore"):
                rows = rows.astype(np.float64)
        _refuse(~np.isfinite(rows).all(axis=1), RowError, start, f"{what} {{}} holds NaN or infinity")
    if metric is not None and metric.non_negative and rows.dtype.kind != "u":
        message = f"{what} {{}} has a negative value and {metric.name} is defined for non-negative rows only"
        _refuse((rows < 0).any(axis=1), MetricError, start, message, "use cosine, l1 or l2")
    if rows.dtype.kind == "f" or (metric is not None and metric.needs_length):
        _refuse(~rows.any(axis=1), RowError, start, f"{what} {{}} is all zeros")


def _plural(what: str) -> str:
    return "queries" if what == "query" else what + "s"


def _refuse(
    bad: Any,
    error: type[Exception],
    start: int,
    message: str,
    cure: str = "leave it out or embed it again",
) -> None:
    if bad.any():
        raise error(message.format(start + int(np.argmax(bad))) + "; " + cure)


def _check_pair(a: Rows, b: Rows, metric: str) -> None:
    check_rows(a, metric=metric, what="query")
    check_rows(b, dimension=a.shape[1], metric=metric, what="row")


def _pairwise(
    a: Rows, b: Rows, prepare: Callable[[Rows], Rows], kernel: Callable[[Rows, Rows], Distances]
) -> Distances:
    """Return the kernel of every prepared query (q, 1, d) and row (1, n, d), over blocks and tiles of bounded size."""
    out = np.empty((len(a), len(b)))
    for i in _slices(len(a), _CONVERTED_CELLS // a.shape[1]):
        queries = prepare(a[i])
        for j in _slices(len(b), _CONVERTED_CELLS // b.shape[1]):
            rows = prepare(b[j])
            block = out[i, j]
            for x, y in _tiles(len(queries), len(rows), a.shape[1]):
                block[x, y] = kernel(queries[x, None, :], rows[None, y, :])
    return out


def _slices(length: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    for start in range(0, length, step):
        yield slice(start, start + step)


def _tiles(q: int, n: int, d: int) -> Iterator[tuple[slice, slice]]:
    """Yield slices that cover (q, n), each of at most `_CELLS` coordinates, or one pair where a row alone is longer."""
    columns = max(1, min(n, _CELLS // d))
    for x in _slices(q, _CELLS // (columns * d)):
        for y in _slices(n, columns):
            yield x, y


def _to_double(rows: Rows) -> Distances:
    return np.asarray(rows, np.float64, order="C")  # sums go along memory: their order must not depend on the caller's


def _to_distributions(rows: Rows) -> Distances:
    scaled = _to_double(rows)
    scaled = scaled / scaled.max(axis=1, keepdims=True)  # so that no sum overflows
    scaled /= scaled.sum(axis=1, keepdims=True)
    return _to_double(scaled)


def _to_unit_length(rows: Rows) -> Distances:
    scaled = _to_double(rows)
    scaled = scaled / np.abs(scaled).max(axis=1, keepdims=True)
    scaled /= np.sqrt(np.einsum("nd,nd->n", scaled, scaled))[:, None]
    return _to_double(scaled)


def _as_they_are(rows: Rows) -> Rows:
    return rows


def _divergence(p: Distances, q: Distances) -> Distances:
    """Return the Jensen-Shannon divergence in bits."""
    total = np.maximum(p + q, _SMALLEST)
    bits: Distances = np.sum(_surprise(p, total) + _surprise(q, total), axis=-1) / (2 * np.log(2))
    return bits


def _surprise(p: Distances, total: Distances) -> Distances:
    """Return the terms p ln(2 p / total), where 0 ln 0 = 0; exactly 0 where p is half of the total."""
    ratio = 2 * p / total
    return p * np.log(np.maximum(ratio, _SMALLEST_NORMAL, out=ratio), out=ratio)


def _squared_gap(u: Distances, v: Distances) -> Distances:
    gap = u - v
    squares: Distances = np.einsum("qnd,qnd->qn", gap, gap)
    return squares


def _absolute_gap(u: Distances, v: Distances) -> Distances:
    gaps: Distances = np.abs(u - v).sum(axis=-1)
    return gaps


def _differing_bits(u: Rows, v: Rows) -> Distances:
    counts: Distances = np.bitwise_count(u ^ v).sum(axis=-1, dtype=np.float64)
    return counts


def __dir__() -> list[str]:
    return __all__
