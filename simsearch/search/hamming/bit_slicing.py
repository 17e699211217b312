"""Differing bits of many codes at once: bits of 256 or 512 codes side by side, added up by carry-save adders.

A *plane* holds one bit of each code of a group, `LANES` words of 64 codes. What three planes add up to, a sum and a
carry, depends on a query only by its three bits there, so all eight answers are tabled once for all queries. A query
looks up its own and adds them by adders of a few logical operations, two thirds of one a bit, where a popcount
instruction counts one word. The counts stay sliced (plane j holds their bits of weight 2^j) and are compared with a
limit in that form; only codes below it are visited singly.

Reference:
    Harley & Seal's adder tree, as in Warren, "Hacker's Delight", 2nd edition, section 5-2; the table is the method of
    the four Russians (Arlazarov, Dinic, Kronrod, Faradzev, 1970).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.runtime.cpu import features
from simsearch.search.llvm import INT, WORD, named

TERNARY = "avx512f" in features()  # any logic of three registers in one instruction
LANES = 8 if TERNARY else 4  # words of 64 codes in a plane: what a register of 512 or 256 bits holds
GROUP = 64 * LANES
THREES = 86  # triples of planes in one table: those of 256 bits
_ODD, _MOST = 0b10010110, 0b11101000  # of three bits: an odd number of ones, two or three ones
_BORROW = 0b10001110  # two or three ones once the first is turned over

_PLANE = ir.VectorType(WORD, LANES)


def counter_planes(bits: int) -> int:
    """Return planes that hold counts up to `bits` and a limit one above.

    Example:
        >>> counter_planes(96), counter_planes(127)
        (7, 8)
    """
    return (bits + 1).bit_length()


def units_of(bits: int) -> tuple[int, int]:
    """Return the number of tables for the planes of codes, and of triples in each; zeros fill the last.

    Example:
        >>> units_of(96), units_of(512)
        ((1, 32), (2, 86))
    """
    triples = -(-bits // 3)
    units = -(-triples // THREES)
    return units, -(-triples // units)


def settings_of(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the table index of each three bits of queries (q, m): (q, units * triples), lowest bits first."""
    units, triples = units_of(32 * words.shape[1])
    bits = (words[:, :, None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    padded = np.zeros((len(words), 3 * units * triples), np.uint32)
    padded[:, : 32 * words.shape[1]] = bits.reshape(len(words), -1)
    return (padded.reshape(len(words), -1, 3) @ np.array([1, 2, 4], np.uint32)) * np.uint32(2 * LANES)


@cache
def adder(triples: int, counters: int, *, first: bool) -> Any:
    """Return the compiled `add(table, settings, query, start, state, limits) -> bool`, which adds to a query's counts.

    Args:
        triples: How many triples of planes it adds.
        counters: Planes of the counts.
        first: Whether the counts start at zero.

    Returns:
        A function for compiled code. Of its arguments, `table` (16 triples, LANES) uint64 is what `tabulate` wrote;
        `settings` (queries, any) uint32 what `settings_of` gave, of which it takes line `query` from `start` on;
        `state` (queries * (counters + 1), LANES) takes the query's counts and, last, the codes whose count is below the
        limit that line `query` of `limits` (queries, counters) holds, bit by bit as all ones or zeros. The result says
        whether there is such a code; where there is none, `state` is left as it was.
    """

    def add(_typing: Any, table: Any, settings: Any, _query: Any, _start: Any, state: Any, limits: Any) -> Any:
        signature = types.boolean(table, settings, types.intp, types.intp, state, limits)

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            values = [
                context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
                for kind, value in zip(signature.args, arguments, strict=True)
            ]
            return _code(_Wires(builder), values, (triples, counters), first=first)

        return signature, code

    return intrinsic(add)


class _Wires:
    """Logic on planes, as instructions of a builder."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.zero = ir.Constant(_PLANE, [0] * LANES)

    def load(self, base: Any, number: int) -> Any:
        """Return the plane of that number."""
        value = self.builder.load(self._place(base, number))
        value.align = 8
        return value

    def store(self, value: Any, base: Any, number: int) -> None:
        """Write a plane."""
        self.builder.store(value, self._place(base, number)).align = 8

    def spread(self, base: Any, number: int) -> Any:
        """Return a plane filled with the word of that number."""
        return self.spread_value(self.builder.load(self.builder.gep(base, [ir.Constant(WORD, number)])))

    def spread_value(self, word: Any) -> Any:
        """Return a plane filled with this word."""
        empty = ir.Constant(_PLANE, ir.Undefined)
        one = self.builder.insert_element(empty, word, ir.Constant(INT, 0))
        return self.builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(INT, LANES), [0] * LANES))

    def any(self, plane: Any) -> Any:
        """Return whether a plane holds a one."""
        whole = ir.IntType(64 * LANES)
        return self.builder.icmp_unsigned("!=", self.builder.bitcast(plane, whole), ir.Constant(whole, 0))

    def half_add(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Return sum and carry of two planes."""
        return self.builder.xor(x, y), self.builder.and_(x, y)

    def full_add(self, x: Any, y: Any, z: Any) -> tuple[Any, Any]:
        """Return sum and carry of three planes."""
        if TERNARY:
            return self._ternary(_ODD, x, y, z), self._ternary(_MOST, x, y, z)
        build = self.builder
        differ = build.xor(x, y)
        return build.xor(differ, z), build.or_(build.and_(x, y), build.and_(differ, z))

    def count(self, leaves: Iterable[tuple[int, Any]]) -> list[Any]:
        """Return the sum of planes of given weights, as planes of rising weight; leaves are consumed lazily."""
        waiting: dict[int, list[Any]] = {}

        def push(weight: int, plane: Any) -> None:
            here = waiting.setdefault(weight, [])
            here.append(plane)
            if len(here) == 3:
                total, carry = self.full_add(*here)
                waiting[weight] = [total]
                push(weight + 1, carry)

        for weight, leaf in leaves:
            push(weight, leaf)
        result: list[Any] = []
        while here := waiting.get(len(result)):
            if len(here) == 2:
                total, carry = self.half_add(*here)
                here = [total]
                push(len(result) + 1, carry)
            result.append(here[0])
        return result

    def plus(self, counts: list[Any], more: list[Any]) -> list[Any]:
        """Return the sum of two numbers, as long as the first."""
        total, carry = self.half_add(counts[0], more[0])
        result = [total]
        for i, plane in enumerate(counts[1:], 1):
            total, carry = self.full_add(plane, more[i], carry) if i < len(more) else self.half_add(plane, carry)
            result.append(total)
        return result

    def below(self, counts: list[Any], limit: list[Any]) -> Any:
        """Return which counts are below the limit: those whose difference borrows."""
        build = self.builder
        borrow = self.zero
        for count, bound in zip(counts, limit, strict=True):
            if TERNARY:
                borrow = self._ternary(_BORROW, count, bound, borrow)
                continue
            differ = build.xor(count, bound)
            borrow = build.or_(build.and_(differ, bound), build.and_(build.not_(differ), borrow))
        return borrow

    def _ternary(self, table: int, *planes: Any) -> Any:
        """Return a ternary logic of three planes, given its truth table as bits."""
        called = named(self.builder, "llvm.x86.avx512.pternlog.q.512", _PLANE, 3, INT)
        return self.builder.call(called, [*planes, INT(table)])

    def _place(self, base: Any, number: int) -> Any:
        place = self.builder.gep(base, [ir.Constant(WORD, number * LANES)])
        return self.builder.bitcast(place, _PLANE.as_pointer())


def _code(wires: _Wires, values: list[Any], size: tuple[int, int], *, first: bool) -> Any:
    """Return the instructions of `adder`."""
    table, settings, query, start, state, limits = values
    triples, counters = size
    build = wires.builder

    def line(array: Any, number: Any) -> Any:
        """Return the address of an array's row."""
        stride = build.extract_value(array.strides, 0)
        place = build.add(build.ptrtoint(array.data, WORD), build.mul(number, stride))
        return build.inttoptr(place, array.data.type)

    of_query, of_limit = build.gep(line(settings, query), [start]), line(limits, query)
    of_state = build.gep(state.data, [build.mul(query, ir.Constant(WORD, (counters + 1) * LANES))])

    def leaves() -> Iterator[tuple[int, Any]]:
        for i in range(triples):
            setting = build.load(build.gep(of_query, [ir.Constant(WORD, i)]))
            answer = build.gep(table.data, [build.add(build.zext(setting, WORD), ir.Constant(WORD, 16 * LANES * i))])
            yield 0, wires.load(answer, 0)
            yield 1, wires.load(answer, 1)

    counts = wires.count(leaves())
    if first:
        counts += [wires.zero] * (counters - len(counts))
    else:
        counts = wires.plus([wires.load(of_state, i) for i in range(counters)], counts)
    found = wires.below(counts, [wires.spread(of_limit, i) for i in range(counters)])
    some = wires.any(found)
    with build.if_then(some):
        for i, plane in enumerate([*counts, found]):
            wires.store(plane, of_state, i)
    return some


@njit(nogil=True)
def empty_planes(count: int) -> Any:
    """Return cache-aligned memory for planes, (count, LANES) uint64."""
    words = np.empty(LANES * (count + 1), np.uint64)
    skip = (-words.ctypes.data // 8) % LANES
    return words[skip : skip + LANES * count].reshape(count, LANES)


@njit(nogil=True)
def tabulate(planes: NDArray[np.uint64], start: int, table: NDArray[np.uint64]) -> None:
    """Write sum and carry of each three planes from `start` on, setting by setting: (16 triples, LANES)."""
    for i in range(len(table) // 16):
        _tabulate_three(planes, start + 3 * i, table, i)


def _tabled(_typing: Any, planes: Any, _first: Any, table: Any, _triple: Any) -> Any:
    """Write one triple of `tabulate`."""
    signature = types.void(planes, types.intp, table, types.intp)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        wires = _Wires(build)
        data, made = (context.make_array(signature.args[i])(context, build, arguments[i]).data for i in (0, 2))
        three = build.gep(data, [build.mul(arguments[1], ir.Constant(WORD, LANES))])
        answers = build.gep(made, [build.mul(arguments[3], ir.Constant(WORD, 16 * LANES))])
        planes = [wires.load(three, i) for i in range(3)]
        both = [(plane, build.not_(plane)) for plane in planes]
        for setting in range(8):
            chosen = [both[i][setting >> i & 1] for i in range(3)]
            for i, plane in enumerate(wires.full_add(*chosen)):
                wires.store(plane, answers, 2 * setting + i)
        return context.get_dummy_value()

    return signature, code


_tabulate_three: Any = intrinsic(_tabled)


@njit(nogil=True)
def transpose(codes: NDArray[np.uint32], start: int, planes: NDArray[np.uint64]) -> None:
    """Write the planes (32 m, LANES) of the codes (n, m) from `start` on, padded with zeros."""
    words = codes.shape[1]
    if len(codes) - start < GROUP:
        padded = np.zeros((GROUP, words), np.uint32)
        padded[: len(codes) - start] = codes[start:]
        codes, start = padded, 0
    square = empty_planes(64)
    for w in range(0, words, 2):
        if w + 1 < words:
            for i in range(64):
                _gather_two_words(codes, start + i, w, square, i)
        else:
            for i in range(64):
                _gather_one_word(codes, start + i, w, square, i)
        _transpose_square(square)
        some = min(64, 32 * (words - w))
        planes[32 * w : 32 * w + some] = square[:some]


def _gathered(size: int) -> Any:
    """Write words from `word` on of every 64th code, from a first one on, into a line of a square: so many bits each.

    Vectorised by the compiler, this would be scattered, which takes three times as long.
    """

    def typed(_typing: Any, codes: Any, _code: Any, _word: Any, square: Any, _line: Any) -> Any:
        signature = types.void(codes, types.intp, types.intp, square, types.intp)

        def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            wires = _Wires(build)
            of_codes, of_square = (context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 3))
            words = build.extract_value(of_codes.shape, 1)
            line = ir.Constant(_PLANE, ir.Undefined)
            for lane in range(LANES):
                number = build.add(arguments[1], ir.Constant(WORD, 64 * lane))
                place = build.gep(of_codes.data, [build.add(build.mul(number, words), arguments[2])])
                word = build.load(build.bitcast(place, ir.IntType(size).as_pointer()))
                word.align = 4
                line = build.insert_element(line, build.zext(word, WORD) if size < 64 else word, INT(lane))
            wires.store(line, build.gep(of_square.data, [build.mul(arguments[4], WORD(LANES))]), 0)
            return context.get_dummy_value()

        return signature, code

    return intrinsic(typed)


_gather_one_word, _gather_two_words = _gathered(32), _gathered(64)


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
        lines = [build.gep(data, [build.mul(number, ir.Constant(WORD, LANES))]) for number in arguments[1:3]]
        shifts, masks = (wires.spread_value(word) for word in arguments[3:5])
        below, above = (wires.load(line, 0) for line in lines)
        swap = build.and_(build.xor(build.lshr(below, shifts), above), masks)
        wires.store(build.xor(below, build.shl(swap, shifts)), lines[0], 0)
        wires.store(build.xor(above, swap), lines[1], 0)
        return context.get_dummy_value()

    return signature, code


_exchange: Any = intrinsic(_exchanged)
