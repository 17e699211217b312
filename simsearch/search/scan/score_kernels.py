"""Compiled scores of all rows for a few queries, straight from the rows as they are stored: memory is read once.

Sums run in so many lanes that few numbers are added up in each, in an order that is known: their error is small.
Rows are float16 (as int16, since numba has no half on a CPU), float32 or uint8.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.runtime.cpu import features
from simsearch.runtime.jit import compiled
from simsearch.search.llvm import INT, WORD, named

_LANES = 16 if "avx512f" in features() else 8  # numbers in a register; two, where it has but four
_REGISTERS = 4  # that sums run in at the same time, so that none waits for the last
_STEP = _LANES * _REGISTERS
_FUSED = "fma" in features()  # multiplies and adds in one instruction
HALVES = "f16c" in features()  # has an instruction that reads float16
LEAST = 2.0**-60  # sums and squared lengths below which float32 may have lost of them what matters

_TWO: Any = types.UniTuple(types.float32, 2)  # type: ignore[no-untyped-call]


def roundings(dimension: int) -> int:
    """Return how often at most a term of a sum over coordinates is rounded: as a product, in its lane, in joining.

    Example:
        >>> roundings(512) <= 24
        True
    """
    return dimension // _STEP + dimension % _STEP + 8


@cache
def scanner(metric: str, kind: str) -> Any:
    """Return the pass for a metric, "js", "cosine", "l2" or "l1", and a type of rows, "float16", "float32" or "uint8".

    Returns:
        `scan(queries, rows, out)`, which writes for each of the queries (q, d) and rows (n, d), in one piece, a score
        (q, n) float32: minus the cosine where queries have length 1; for js the same of the roots of rows with
        queries that are roots; the squared distance, or the distance, for l2 and l1. NaN where a sum or length is
        not within `LEAST` and infinity.
    """
    score = scorer(metric, kind)

    @compiled("scan", metric, kind)
    def scan(queries: NDArray[np.float32], rows: Any, out: NDArray[np.float32]) -> None:
        for i in range(len(rows)):
            for line in range(len(queries)):
                out[line, i] = score(queries, line, rows, i)

    return scan


@cache
def scorer(metric: str, kind: str) -> Any:
    """Return the compiled score of one pair, `score(queries, line, rows, place)`, equal to that of `scanner`."""
    add_up, finish = intrinsic(_added_up(metric, kind)), _cosine if metric in ("js", "cosine") else _sum

    @njit(nogil=True, error_model="numpy")
    def score(queries: NDArray[np.float32], line: int, rows: Any, place: int) -> Any:
        return finish(add_up(queries, line, rows, place))

    return score


@njit(nogil=True, error_model="numpy")
def _cosine(sums: Any) -> Any:
    product, length = np.float64(sums[0]), np.float64(sums[1])
    return np.float32(-product / math.sqrt(length) if LEAST <= length < np.inf else np.nan)


@njit(nogil=True)
def _sum(sums: Any) -> Any:
    return sums[0]


def _added_up(metric: str, kind: str) -> Any:
    """Return two sums over the coordinates of a query and a row: of products and lengths, or of gaps and nothing."""

    def typed(_typing: Any, queries: Any, _line: Any, rows: Any, _place: Any) -> Any:
        signature = _TWO(queries, types.intp, rows, types.intp)

        def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            arrays = [context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 2)]
            length = build.extract_value(arrays[0].shape, 1)
            lines = [
                build.gep(array.data, [build.mul(number, length)])
                for array, number in zip(arrays, arguments[1::2], strict=True)
            ]
            steps = build.udiv(length, WORD(_STEP))
            whole = build.mul(steps, WORD(_STEP))
            many = _summed(build, (metric, kind), lines, (WORD(0), steps), (_LANES, _REGISTERS))
            rest = _summed(build, (metric, kind), lines, (whole, build.sub(length, whole)), (1, 1))
            sums = [build.fadd(*pair) for pair in zip(many, rest, strict=True)]
            return context.make_tuple(build, signature.return_type, sums)

        return signature, code

    return typed


def _summed(build: Any, what: tuple[str, str], lines: list[Any], span: tuple[Any, Any], shape: tuple[int, int]) -> Any:
    """Return the two sums over so many steps from a coordinate on, each of some registers of some lanes."""
    (metric, kind), (start, steps), (lanes, registers) = what, span, shape
    vector = ir.VectorType(ir.FloatType(), lanes)
    zero = ir.Constant(vector, [0.0] * lanes)
    sums = [[cgutils.alloca_once_value(build, zero) for _ in range(registers)] for _ in range(2)]  # type: ignore[no-untyped-call]
    with cgutils.for_range(build, steps) as loop:
        first = build.add(start, build.mul(loop.index, WORD(lanes * registers)))
        for i in range(registers):
            at = build.add(first, WORD(lanes * i))
            query, row = (
                _read(build, line, at, each, lanes) for line, each in zip(lines, ("float32", kind), strict=True)
            )
            own = [sums[0][i], sums[1][i]]
            for place, value in zip(own, _step(build, metric, (query, row), [*map(build.load, own)]), strict=True):
                build.store(value, place)
    return [_joined(build, [build.load(place) for place in some]) for some in sums]


def _step(build: Any, metric: str, pair: tuple[Any, Any], sums: list[Any]) -> tuple[Any, Any]:
    """Return the two sums with those of some coordinates added."""
    query, row = pair
    if metric == "cosine":
        return _multiplied(build, query, row, sums[0]), _multiplied(build, row, row, sums[1])
    if metric == "js":
        root = build.call(_by_name(build, "sqrt", row.type, 1), [row])
        return _multiplied(build, query, root, sums[0]), build.fadd(row, sums[1])
    gap = build.fsub(query, row)
    if metric == "l2":
        return _multiplied(build, gap, gap, sums[0]), sums[1]
    return build.fadd(build.call(_by_name(build, "fabs", gap.type, 1), [gap]), sums[0]), sums[1]


def _multiplied(build: Any, a: Any, b: Any, more: Any) -> Any:
    """Return a product and a sum."""
    if _FUSED:
        return build.call(_by_name(build, "fma", a.type, 3), [a, b, more])
    return build.fadd(build.fmul(a, b), more)


def _by_name(build: Any, name: str, vector: Any, count: int) -> Any:
    return named(build, f"llvm.{name}.v{vector.count}f32", vector, count)


def _joined(build: Any, registers: list[Any]) -> Any:
    """Return the sum of all lanes of some registers, pair by pair."""
    while len(registers) > 1:
        registers = [build.fadd(*pair) for pair in zip(registers[::2], registers[1::2], strict=True)]
    total, lanes = registers[0], registers[0].type.count
    while lanes > 1:
        lanes //= 2
        halves = [ir.Constant(ir.VectorType(INT, lanes), [*range(i, i + lanes)]) for i in (0, lanes)]
        total = build.fadd(*(build.shuffle_vector(total, total, half) for half in halves))
    return build.extract_element(total, INT(0))


def _read(build: Any, line: Any, at: Any, kind: str, lanes: int) -> Any:
    """Return some coordinates of a row in float32."""
    number = {"float16": ir.IntType(16), "float32": ir.FloatType(), "uint8": ir.IntType(8)}[kind]
    stored = build.load(build.bitcast(build.gep(line, [at]), ir.VectorType(number, lanes).as_pointer()))
    stored.align = {"float16": 2, "float32": 4, "uint8": 1}[kind]
    single = ir.VectorType(ir.FloatType(), lanes)
    if kind == "uint8":
        return build.uitofp(stored, single)
    if kind == "float32":
        return stored
    if HALVES:
        return build.fpext(build.bitcast(stored, ir.VectorType(ir.HalfType(), lanes)), single)
    return _half(build, stored, lanes)


def _half(build: Any, stored: Any, lanes: int) -> Any:
    """Return the floats of halves' bits, by logic on integers; NaN for infinity too."""
    whole, single = ir.VectorType(INT, lanes), ir.VectorType(ir.FloatType(), lanes)

    def all_lanes(value: int) -> Any:
        return ir.Constant(whole, [value] * lanes)

    bits = build.zext(stored, whole)
    sign = build.shl(build.and_(bits, all_lanes(0x8000)), all_lanes(16))
    exponent, rest = build.and_(bits, all_lanes(0x7C00)), build.and_(bits, all_lanes(0x3FF))
    normal = build.add(build.shl(build.and_(bits, all_lanes(0x7FFF)), all_lanes(13)), all_lanes(112 << 23))
    small = build.fmul(build.uitofp(rest, single), ir.Constant(single, [2.0**-24] * lanes))
    is_small = build.icmp_unsigned("==", exponent, all_lanes(0))
    found = build.select(is_small, build.bitcast(small, whole), normal)
    found = build.select(build.icmp_unsigned("==", exponent, all_lanes(0x7C00)), all_lanes(0x7FC00000), found)
    return build.bitcast(build.or_(found, sign), single)
