"""Differing bits of many codes at once: bits of 256 codes side by side, added up by carry-save adders.

A *plane* holds one bit of each code of a group, `LANES` words of 64 codes. Exclusive-or with a query's bit marks the
codes that differ there; an adder of five logical operations turns three such planes into a sum and a carry, so that
about six operations a bit count 256 codes, where a popcount instruction counts one word. The counts stay sliced (plane
j holds their bits of weight 2^j) and are compared with a limit in that form; only codes below it are looked at singly.

Reference:
    Harley & Seal's adder tree, as in Warren, "Hacker's Delight", 2nd edition, section 5-2.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LANES = 4  # words of 64 codes in a plane: what a 256-bit register holds
GROUP = 64 * LANES
UNIT = 128  # planes added up before the counts are compared with the limit

_WORD = ir.IntType(64)
_INDEX = ir.IntType(32)
_PLANE = ir.VectorType(_WORD, LANES)


def counter_planes(bits: int) -> int:
    """Planes that hold counts up to `bits` and a limit one above.

    Example:
        >>> counter_planes(96), counter_planes(127)
        (7, 8)
    """
    return (bits + 1).bit_length()


@cache
def adder(planes: int, counters: int, *, first: bool) -> Any:
    """The compiled step `add(group, start, masks, query, state, limits) -> word` that adds planes to the counts.

    Args:
        planes: How many it adds.
        counters: Planes of the counts.
        first: Whether the counts start at zero.

    Returns:
        A function for compiled code. Of its arguments, `group` (any, LANES) uint64 holds the planes, from the index
        `start` on; `masks` (queries, any) uint64 holds all ones or zeros for each bit of a query, from the index
        `start` of line `query` on; `state` (counters + 1, LANES) takes the counts and, last, the codes whose count is
        below the limit that line `query` of `limits` (queries, counters) holds, bit by bit as all ones or zeros. The
        result is zero where there is no such code.
    """

    def add(_typing: Any, group: Any, _start: Any, masks: Any, _query: Any, state: Any, limits: Any) -> Any:
        signature = types.uint64(group, types.intp, masks, types.intp, state, limits)

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            return _code(_Wires(builder), values, (planes, counters), first=first)

        return signature, code

    return intrinsic(add)


class _Wires:
    """Logic on planes, as instructions of a builder."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.zero = ir.Constant(_PLANE, [0] * LANES)

    def load(self, base: Any, number: int) -> Any:
        """The plane of that number."""
        value = self.builder.load(self._place(base, number))
        value.align = 8
        return value

    def store(self, value: Any, base: Any, number: int) -> None:
        """Write a plane."""
        self.builder.store(value, self._place(base, number)).align = 8

    def spread(self, base: Any, number: int) -> Any:
        """A plane all of whose words are the word of that number."""
        return self.spread_value(self.builder.load(self.builder.gep(base, [ir.Constant(_WORD, number)])))

    def spread_value(self, word: Any) -> Any:
        """A plane all of whose words are this one."""
        empty = ir.Constant(_PLANE, ir.Undefined)
        one = self.builder.insert_element(empty, word, ir.Constant(_INDEX, 0))
        return self.builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))

    def any_word(self, plane: Any) -> Any:
        """The words of a plane, or-ed."""
        words = [self.builder.extract_element(plane, ir.Constant(_INDEX, i)) for i in range(LANES)]
        result = words[0]
        for word in words[1:]:
            result = self.builder.or_(result, word)
        return result

    def half_add(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Sum and carry of two planes."""
        return self.builder.xor(x, y), self.builder.and_(x, y)

    def full_add(self, x: Any, y: Any, z: Any) -> tuple[Any, Any]:
        """Sum and carry of three planes."""
        build = self.builder
        differ = build.xor(x, y)
        return build.xor(differ, z), build.or_(build.and_(x, y), build.and_(differ, z))

    def count(self, leaves: Iterable[Any]) -> list[Any]:
        """The number of ones, as planes of rising weight; a leaf is taken when its turn comes."""
        waiting: dict[int, list[Any]] = {}

        def push(weight: int, plane: Any) -> None:
            here = waiting.setdefault(weight, [])
            here.append(plane)
            if len(here) == 3:
                total, carry = self.full_add(*here)
                waiting[weight] = [total]
                push(weight + 1, carry)

        for leaf in leaves:
            push(0, leaf)
        result: list[Any] = []
        while here := waiting.get(len(result)):
            if len(here) == 2:
                total, carry = self.half_add(*here)
                here = [total]
                push(len(result) + 1, carry)
            result.append(here[0])
        return result

    def plus(self, counts: list[Any], more: list[Any]) -> list[Any]:
        """The sum of two numbers, as long as the first."""
        total, carry = self.half_add(counts[0], more[0])
        result = [total]
        for i, plane in enumerate(counts[1:], 1):
            total, carry = self.full_add(plane, more[i], carry) if i < len(more) else self.half_add(plane, carry)
            result.append(total)
        return result

    def below(self, counts: list[Any], limit: list[Any]) -> Any:
        """Which counts are below the limit: those whose difference borrows."""
        build = self.builder
        borrow = self.zero
        for count, bound in zip(counts, limit, strict=True):
            differ = build.xor(count, bound)
            borrow = build.or_(build.and_(differ, bound), build.and_(build.not_(differ), borrow))
        return borrow

    def _place(self, base: Any, number: int) -> Any:
        place = self.builder.gep(base, [ir.Constant(_WORD, number * LANES)])
        return self.builder.bitcast(place, _PLANE.as_pointer())


def _code(wires: _Wires, values: list[Any], size: tuple[int, int], *, first: bool) -> Any:
    """The instructions of `adder`."""
    group, start, masks, query, state, limits = values
    planes, counters = size
    build = wires.builder

    def line(array: Any, number: Any) -> Any:
        """Where a line of a two-dimensional array of words begins."""
        width = build.extract_value(array.shape, 1)
        return build.gep(array.data, [build.mul(number, width)])

    of_group, of_query = line(group, start), build.gep(line(masks, query), [start])
    counts = wires.count(build.xor(wires.load(of_group, i), wires.spread(of_query, i)) for i in range(planes))
    if first:
        counts += [wires.zero] * (counters - len(counts))
    else:
        counts = wires.plus([wires.load(state.data, i) for i in range(counters)], counts)
    of_limit = line(limits, query)
    found = wires.below(counts, [wires.spread(of_limit, i) for i in range(counters)])
    for i, plane in enumerate([*counts, found]):
        wires.store(plane, state.data, i)
    return wires.any_word(found)


@njit(nogil=True)
def transpose(codes: NDArray[np.uint32], start: int, planes: NDArray[np.uint64]) -> None:
    """Write the planes (32 m, LANES) of the codes (n, m) from `start` on; zeros behind the last code."""
    rows = min(GROUP, len(codes) - start)
    words = codes.shape[1]
    square = np.zeros((64, LANES), np.uint64)
    for w in range(0, words, 2):
        square[:] = 0
        for i in range(rows):
            word = np.uint64(codes[start + i, w])
            if w + 1 < words:
                word |= np.uint64(codes[start + i, w + 1]) << np.uint64(32)
            square[i & 63, i >> 6] = word
        _transpose_square(square)
        some = min(64, 32 * (words - w))
        planes[32 * w : 32 * w + some] = square[:some]


@njit(nogil=True)
def _transpose_square(square: NDArray[np.uint64]) -> None:
    """Transpose 64 x 64 bits in each column of (64, LANES), by exchanging ever smaller quarters."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        for base in range(0, 64, 2 * width):
            for i in range(base, base + width):
                _exchange(square, i, i + width, np.uint64(width), mask)
        width >>= 1
        mask ^= mask << np.uint64(width)


def _exchanged(_typing: Any, square: Any, _low: Any, _high: Any, _shift: Any, _mask: Any) -> Any:
    """Swap the masked bits of line `high` of (64, LANES) with those of line `low` that are `shift` above them."""
    signature = types.void(square, types.intp, types.intp, types.uint64, types.uint64)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        wires = _Wires(build)
        data = context.make_array(signature.args[0])(context, build, arguments[0]).data
        lines = [build.gep(data, [build.mul(number, ir.Constant(_WORD, LANES))]) for number in arguments[1:3]]
        shifts, masks = (wires.spread_value(word) for word in arguments[3:5])
        below, above = (wires.load(line, 0) for line in lines)
        swap = build.and_(build.xor(build.lshr(below, shifts), above), masks)
        wires.store(build.xor(below, build.shl(swap, shifts)), lines[0], 0)
        wires.store(build.xor(above, swap), lines[1], 0)
        return context.get_dummy_value()

    return signature, code


_exchange: Any = intrinsic(_exchanged)
