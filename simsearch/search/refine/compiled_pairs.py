"""Compiled distances of chosen pairs of rows, straight from the rows as they are stored; they release the GIL.

Rows are float16 (as int16, since numba has no half on a CPU), float32, float64 or uint8.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.runtime.jit import compiled
from simsearch.search.llvm import prefetch
from simsearch.search.scan.score_kernels import HALVES, scorer


def _interpolating(function: Any, low: float, high: float, degree: int) -> NDArray[np.float64]:
    """Return coefficients (degree + 1,), lowest first, of the polynomial through a function at Chebyshev's points."""
    found = np.polynomial.Chebyshev.interpolate(function, degree, [low, high])
    return np.asarray(found.convert(kind=np.polynomial.Polynomial).coef)


DIVERGENCE_ERROR = 128 * 2.0**-24
"""Of twice a divergence in float32, which is at most 2 ln 2 = 1.4.

In a coordinate p ln x + q ln y, where x = 2 p / (p + q), each of p, q, their sum and its reciprocal is rounded, which
moves a logarithm by 6 u at most (u = 2^-24); it errs by 4 u of its size and a product by u. Together that is
6 u (p + q + p |ln x| + q |ln y|); as p |ln x| is at most p ln 2 or (p + q) / (2 e), all coordinates err by less than
24 u. Sums of 64 positive numbers, in any order, err by 64 u of at most 1.4: in all below 116 u.
"""

_AHEAD = 2  # rows that are prefetched
_PREFETCHED = 1024  # bytes of one: the hardware prefetches the rest
_TERMS = 64  # summed in float32 before they are added in float64
_NORMAL = 2.0**-1022  # the smallest normal float64
_MANTISSA = np.int64((1 << 52) - 1)
_ROOT_HALF = np.int64(np.array(math.sqrt(0.5)).view(np.int64))  # the bits of the smallest number that `_ln` reduces to
_REBIAS = np.int64(1023 << 52) - _ROOT_HALF
_INTEGER = np.int64(1075 << 52)  # the bits of 2^52, whose last bits are those of an integer
_INTEGER_BIAS = 2.0**52 + 1023
_LN2 = math.log(2)
_SERIES = tuple(2 / (2 * i + 1) for i in range(10))  # of ln((1 + s) / (1 - s)) = 2 s + 2 s^3 / 3 + ..., |s| < 0.172
_NORMAL_SINGLE = np.float32(2.0**-126)
_MANTISSA_SINGLE = np.int32((1 << 23) - 1)
_ROOT_HALF_SINGLE = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
_REBIAS_SINGLE = np.int32((127 << 23) - int(_ROOT_HALF_SINGLE))
_POLYNOMIAL = tuple(map(np.float32, _interpolating(lambda f: np.log1p(f) / f, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 9)))
_HALF_SCALE = np.float32(2.0**112)  # the bits of a half, moved into those of a float, are too small by that factor


class PairKernels(NamedTuple):
    """The passes over rows of one type by one metric.

    They skip positions outside the block, which begins at `base`.

    Attributes:
        measure: `measure(queries, rows, base, (query_ids, positions), out)` writes the distance of each pair (c,).
            Queries (q, d) are float64, prepared: distributions for js, of length 1 for cosine.
        score: `score(queries, rows, base, candidates, out)` writes scores (q, m), float32, as
            `score_kernels.scorer`; None for float64.
        divergence: `divergence(queries, rows, base, (query_ids, positions), out)` writes twice the Jensen-Shannon
            divergence in nats of each pair (c,), in float32, within `DIVERGENCE_ERROR`; NaN where a row has no
            distribution. Queries (q, d) are distributions in float32. Only for float16 and uint8, no sum of which
            overflows.
    """

    measure: Any
    score: Any
    divergence: Any


@cache
def kernels(metric: str, kind: str) -> PairKernels:
    """Return the passes for a metric and a type of rows, "float16", "float32", "float64" or "uint8"."""
    read = half if kind == "float16" else _as_it_is
    return PairKernels(_measurer(read, metric, kind), _scorer(metric, kind), _diverger(read, kind))


def _measurer(read: Any, metric: str, kind: str) -> Any:
    (between, distance_of), scaled = _DISTANCES[metric], _scaled(read, metric)
    prepared, wide = metric in ("js", "cosine"), kind == "float64"

    @compiled("measure", metric, kind, error_model="numpy")
    def measure(queries: Any, rows: Any, base: int, pairs: Any, out: NDArray[np.float64]) -> None:
        query_ids, positions = pairs
        row, factor = np.empty(rows.shape[1]), 1.0
        for i in range(len(query_ids)):
            _prefetch_row(rows, positions[min(i + _AHEAD, len(query_ids) - 1)] - base)
            place = positions[i] - base
            if 0 <= place < len(rows):
                stored = rows[place]
                if prepared and wide:  # so that no sum overflows
                    row[:] = stored
                    _divide(row, _largest(row))
                    stored = row
                if prepared:
                    factor = scaled(stored)
                out[i] = distance_of(between(read, queries[query_ids[i]], stored, factor))

    return measure


def _scaled(read: Any, metric: str) -> Any:
    """Return the compiled factor that gives a row the sum 1 for js, the length 1 for cosine."""
    squared = metric == "cosine"

    @njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
    def scaled(stored: Any) -> Any:
        total = 0.0
        for i in range(len(stored)):
            value = np.float64(read(stored[i]))
            total += value * value if squared else value
        return 1 / (math.sqrt(total) if squared else total)

    return scaled


def _scorer(metric: str, kind: str) -> Any:
    if kind == "float64":
        return None
    of_pair = scorer(metric, kind)

    @compiled("score", metric, kind)
    def score(queries: Any, rows: Any, base: int, candidates: Any, out: NDArray[np.float32]) -> None:
        for query_id in range(len(queries)):
            for j in range(candidates.shape[1]):
                _prefetch_row(rows, candidates[query_id, min(j + _AHEAD, candidates.shape[1] - 1)] - base)
                place = candidates[query_id, j] - base
                if 0 <= place < len(rows):
                    out[query_id, j] = of_pair(queries, query_id, rows, place)

    return score


def _diverger(read: Any, kind: str) -> Any:
    @compiled("divergence", kind, error_model="numpy")
    def divergence(queries: Any, rows: Any, base: int, pairs: Any, out: NDArray[np.float64]) -> None:
        query_ids, positions = pairs
        row = np.empty(rows.shape[1], np.float32)
        for i in range(len(query_ids)):
            _prefetch_row(rows, positions[min(i + _AHEAD, len(query_ids) - 1)] - base)
            place = positions[i] - base
            if 0 <= place < len(rows):
                total = _load_single(read, rows[place], row)
                factor, found = np.float32(1 / total), 0.0
                for start in range(0, len(row), _TERMS):
                    some = queries[query_ids[i], start : start + _TERMS], row[start : start + _TERMS]
                    found += _divergence_single(*some, factor)
                out[i] = found

    return divergence


@njit(nogil=True, fastmath={"reassoc", "nsz"})
def _load_single(read: Any, stored: Any, row: NDArray[np.float32]) -> Any:
    """Write a row in float32, and give its sum."""
    total = 0.0
    for i in range(len(row)):
        value = np.float32(read(stored[i]))
        row[i] = value
        total += np.float64(value)
    return total


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _divergence_single(p: Any, row: Any, factor: Any) -> Any:
    """Return the sum of p ln(2 p / (p + q)) + q ln(2 q / (p + q)) where q is the row times a factor."""
    total = np.float32(0)
    for i in range(len(p)):
        a, b = p[i], row[i] * factor
        both = a + b
        twice = np.float32(2) / (both if both > _NORMAL_SINGLE else _NORMAL_SINGLE)
        x, y = a * twice, b * twice
        x, y = x if x > _NORMAL_SINGLE else _NORMAL_SINGLE, y if y > _NORMAL_SINGLE else _NORMAL_SINGLE
        total += a * _ln_single(x) + b * _ln_single(y)
    return np.float64(total)


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def _surprises(read: Any, p: Any, row: Any, factor: Any) -> Any:
    """Return the sum of p ln(2 p / (p + q)) + q ln(2 q / (p + q)), where 0 ln 0 = 0 and q is the row times a factor."""
    nats = 0.0
    for i in range(len(p)):
        a, b = p[i], np.float64(read(row[i])) * factor
        total = a + b
        twice = 2.0 / (total if total > _NORMAL else _NORMAL)
        x, y = a * twice, b * twice
        nats += a * _ln(x if x > _NORMAL else _NORMAL) + b * _ln(y if y > _NORMAL else _NORMAL)
    return nats


@njit(nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _squares(read: Any, u: Any, row: Any, factor: Any) -> Any:
    """Return the sum of squared gaps between u and the row times a factor."""
    total = 0.0
    for i in range(len(u)):
        gap = u[i] - np.float64(read(row[i])) * factor
        total += gap * gap
    return total


@njit(nogil=True, fastmath={"reassoc", "nsz"})
def _gaps(read: Any, u: Any, row: Any, factor: Any) -> Any:  # noqa: ARG001 - 1 for l1
    """Return the sum of absolute gaps."""
    total = 0.0
    for i in range(len(u)):
        total += abs(u[i] - np.float64(read(row[i])))
    return total


@njit(nogil=True)
def _as_it_is(value: Any) -> Any:
    return value


@njit(nogil=True)
def _root_of_bits(total: float) -> Any:
    return math.sqrt(min(max(total / (2 * _LN2), 0.0), 1.0))


@njit(nogil=True)
def _quarter(total: float) -> Any:
    return min(total / 4, 1.0)


@njit(nogil=True)
def _root(total: float) -> Any:
    return math.sqrt(total)


_DISTANCES = {
    "js": (_surprises, _root_of_bits),
    "cosine": (_squares, _quarter),
    "l2": (_squares, _root),
    "l1": (_gaps, _as_it_is),
}


@njit(nogil=True, fastmath={"nnan", "nsz"})
def _largest(values: NDArray[np.float64]) -> Any:
    largest = 0.0
    for value in values:
        largest = max(largest, abs(value))
    return largest


@njit(nogil=True, error_model="numpy")
def _divide(values: NDArray[np.float64], divisor: float) -> None:
    if divisor < _NORMAL:  # its reciprocal may overflow
        for i in range(len(values)):
            values[i] /= divisor
        return
    factor = 1 / divisor
    for i in range(len(values)):
        values[i] *= factor


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _ln(x: Any) -> Any:
    """Return the natural logarithm of a normal number, within 4 units of 2^-53 of itself; without a branch.

    x = 2^k m with m in [sqrt(1/2), sqrt(2)), and ln m by the series of the inverse hyperbolic tangent of
    s = (m - 1) / (m + 1), the eleventh term of which would be below 2^-55 of the first. m - 1 is exact, and where k is
    not 0, ln m is at most half of ln x: nothing cancels.
    """
    bits = as_bits(x) + _REBIAS
    power = as_number((bits >> 52) | _INTEGER) - _INTEGER_BIAS
    m = as_number((bits & _MANTISSA) + _ROOT_HALF)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    tail = _SERIES[9]
    tail = tail * z + _SERIES[8]
    tail = tail * z + _SERIES[7]
    tail = tail * z + _SERIES[6]
    tail = tail * z + _SERIES[5]
    tail = tail * z + _SERIES[4]
    tail = tail * z + _SERIES[3]
    tail = tail * z + _SERIES[2]
    tail = tail * z + _SERIES[1]
    return power * _LN2 + (2.0 * s + s * z * tail)


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _ln_single(x: Any) -> Any:
    """Return the natural logarithm of a normal float32, within 4 units of 2^-24 of itself; without a branch.

    As `_ln`, with ln m = f P(f) for f = m - 1.
    """
    bits = as_single_bits(x) + _REBIAS_SINGLE
    power = np.float32(bits >> np.int32(23)) - np.float32(127)
    f = as_single((bits & _MANTISSA_SINGLE) + _ROOT_HALF_SINGLE) - np.float32(1)
    p = _POLYNOMIAL[9]
    p = p * f + _POLYNOMIAL[8]
    p = p * f + _POLYNOMIAL[7]
    p = p * f + _POLYNOMIAL[6]
    p = p * f + _POLYNOMIAL[5]
    p = p * f + _POLYNOMIAL[4]
    p = p * f + _POLYNOMIAL[3]
    p = p * f + _POLYNOMIAL[2]
    p = p * f + _POLYNOMIAL[1]
    p = p * f + _POLYNOMIAL[0]
    return power * np.float32(_LN2) + f * p


def _bits_as(source: Any, target: Any, llvm: Any) -> Any:
    """Return a reading of a number's bits as another type, as a function for compiled code."""

    def typed(_typing: Any, _value: Any) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], llvm)

        return target(source), code

    return intrinsic(typed)


def _row_prefetched(_typing: Any, rows: Any, _place: Any) -> Any:
    """Prefetch the beginning of a row; it may lie anywhere."""
    signature = types.void(rows, types.intp)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, build, arguments[0])
        word = ir.IntType(64)
        stride = build.extract_value(array.strides, 0)
        first = build.add(build.ptrtoint(array.data, word), build.mul(arguments[1], stride))
        limit = word(_PREFETCHED)
        prefetch(build, first, build.select(build.icmp_signed("<", stride, limit), stride, limit))
        return context.get_dummy_value()

    return signature, code


_prefetch_row: Any = intrinsic(_row_prefetched)
as_bits = _bits_as(types.float64, types.int64, ir.IntType(64))
as_number = _bits_as(types.int64, types.float64, ir.DoubleType())
as_single = _bits_as(types.int32, types.float32, ir.FloatType())
as_single_bits = _bits_as(types.float32, types.int32, ir.IntType(32))


def _half_read(_typing: Any, bits: Any) -> Any:
    def code(_context: Any, build: Any, _signature: Any, arguments: Any) -> Any:
        return build.fpext(build.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(bits), code


@njit(nogil=True)
def _half_by_logic(bits: Any) -> Any:
    """Return the float of a half's bits; NaN for infinity too."""
    bits = np.int32(bits)
    value = as_single(((bits & np.int32(0x7FFF)) << np.int32(13)) | ((bits & np.int32(0x8000)) << np.int32(16)))
    value *= _HALF_SCALE
    return np.float32(np.nan) if (bits & np.int32(0x7C00)) == np.int32(0x7C00) else value


half: Any = intrinsic(_half_read) if HALVES else _half_by_logic
"""The float of a half's bits; for infinity that or NaN."""
