"""Compiled passes over codes: the nearest to each query, and all within a radius. They release the GIL."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.runtime.cpu import features
from simsearch.runtime.jit import compiled
from simsearch.search.hamming.bit_slicing import (
    GROUP,
    LANES,
    adder,
    counter_planes,
    empty_planes,
    tabulate,
    transpose,
    units_of,
)
from simsearch.search.llvm import named

_VECTOR_POPCOUNT = "avx512vpopcntdq" in features()
_LINES = 16  # times that a query is written, so that registers of 512 bits hold whole queries
_BLOCK = 512  # codes of a block, where queries are few


class Kernels(NamedTuple):
    """The passes for codes of one length.

    All read `rows`, which is codes (n, m) uint32, those of them that count (n,) bool, or (0,) for all, and the position
    of the first; `settings` of the queries, from `bit_slicing.settings_of`; and `limits` (q, counters) uint64, all ones
    or zeros for each bit of the count that a code must be below.

    Attributes:
        nearest: `nearest(rows, settings, limits, k, (counts, positions, filled))` updates the k
            nearest of each query, positions rising: `filled` (q,) of `counts` and `positions` (q, room), where
            room > k. It lowers the limits.
        nearest_of_few: The same where queries are too few to pay for slicing the codes; it takes these and, in place
            of `settings`, the queries as words of 64 bits where the length allows, else of 32.
        within: `within(rows, start, settings, limits, (query_ids, counts, positions))` writes every code below the
            limit, from code `start` on, where a group begins, and stops before one for which there may not be room; it
            returns the code to resume at and how many it wrote.
    """

    nearest: Any
    nearest_of_few: Any
    within: Any


@cache
def kernels(words: int) -> Kernels:
    """Return the passes for codes of that many words of 32 bits."""
    counters = counter_planes(32 * words)
    return Kernels(_nearest(words, counters), _nearest_of_few(words), _within(words, counters))


def _nearest(words: int, counters: int) -> Any:
    planes, (units, triples) = 32 * words, units_of(32 * words)
    below = _below(units, triples, counters)

    @compiled("nearest codes", words)
    def nearest(rows: Any, settings: Any, limits: Any, k: int, found: Any) -> None:
        codes, live, base = rows
        counts, positions, filled = found
        (group, table, state, some), (valid, hit_counts, hit_places) = _room(
            planes, units, triples, len(settings), counters
        )
        histogram = np.empty(planes + 1, np.int64)
        for start in range(0, len(codes), GROUP):
            if not _validity(live, len(codes), start, valid):
                continue
            transpose(codes, start, group)
            for unit in range(units):
                tabulate(group, 3 * triples * unit, table)
                for query in range(len(settings)):
                    if not below(table, (settings, query, limits), unit, state, some) or unit < units - 1:
                        continue
                    own = state[query * (counters + 1) : (query + 1) * (counters + 1)]
                    for i in range(_hits(own, valid, hit_counts, hit_places)):
                        length = filled[query]
                        counts[query, length] = hit_counts[i]
                        positions[query, length] = base + start + hit_places[i]
                        filled[query] = length + 1
                        if length + 1 == counts.shape[1]:
                            _limit(limits, query, _keep(counts[query], positions[query], k, histogram))
                            filled[query] = k

    return nearest


def _nearest_of_few(words: int) -> Any:
    planes = 32 * words
    steps = words if words % 2 else words // 2
    count = _counted(steps)
    if _VECTOR_POPCOUNT and steps > 1:
        count = _counted_in_a_stream(steps) if words % 2 else count
        count = _counted_by_eights(steps) if words % 2 == 0 and steps.bit_count() == 1 else count

    @compiled("nearest codes of few", words)
    def nearest_of_few(rows: Any, queries: Any, limits: Any, k: int, found: Any) -> None:
        codes, live, base = rows
        counts, positions, filled = found
        histogram, block_counts = np.empty(planes + 1, np.int64), np.empty(_BLOCK, np.uint32)
        repeated, ones = np.empty((_LINES, queries.shape[1]), queries.dtype), np.empty(_BLOCK * steps, np.uint32)
        for query in range(len(queries)):
            repeated[:] = queries[query]
            limit = _limit_of(limits, query)
            for start in range(0, len(codes), _BLOCK):
                block = codes[start : start + _BLOCK]
                if count(block, repeated, ones, block_counts) >= limit:
                    continue
                for i in range(len(block)):
                    if block_counts[i] < limit and (len(live) == 0 or live[start + i]):
                        length = filled[query]
                        counts[query, length] = block_counts[i]
                        positions[query, length] = base + start + i
                        filled[query] = length + 1
                        if length + 1 == counts.shape[1]:
                            limit = _keep(counts[query], positions[query], k, histogram)
                            filled[query] = k
            _limit(limits, query, limit)

    return nearest_of_few


def _counted(steps: int) -> Any:
    """Return a compiled function that counts a block's differing bits code by code, without branches: vectorised."""

    @njit(nogil=True)
    def counted(block: Any, repeated: Any, _ones: Any, block_counts: Any) -> Any:
        least = np.uint32(0xFFFFFFFF)
        for i in range(len(block)):
            count = np.uint32(0)
            for step in range(steps):
                count += np.uint32(popcount(block[i, step] ^ repeated[0, step]))
            block_counts[i] = count
            least = min(least, count)
        return least

    return counted


def _counted_in_a_stream(steps: int) -> Any:
    """Return the same for an odd number of words, which do not fall into lanes: counted by word, then added."""
    one_by_one = _counted(steps)

    @njit(nogil=True)
    def counted(block: Any, repeated: Any, ones: Any, block_counts: Any) -> Any:
        if len(block) < _BLOCK:
            return one_by_one(block, repeated, ones, block_counts)
        for first in range(0, _BLOCK * steps, _LINES * steps):
            for at in range(0, _LINES * steps, 16):
                _count_sixteen((block, ones), first + at, repeated, at)
        least = np.uint32(0xFFFFFFFF)
        for i in range(_BLOCK):
            count = np.uint32(0)
            for step in range(steps):
                count += ones[steps * i + step]
            block_counts[i] = count
            least = min(least, count)
        return least

    return counted


def _counted_by_eights(steps: int) -> Any:
    """Return the same for a power of two of words: eight codes at once, counts added pair by pair."""
    one_by_one, count_eight = _counted(steps), intrinsic(_eight_counted(steps))

    @njit(nogil=True)
    def counted(block: Any, repeated: Any, ones: Any, block_counts: Any) -> Any:
        if len(block) < _BLOCK:
            return one_by_one(block, repeated, ones, block_counts)
        for at in range(0, _BLOCK, 8):
            count_eight(block, repeated, block_counts, at)
        least = np.uint32(0xFFFFFFFF)
        for i in range(_BLOCK):
            least = min(least, block_counts[i])
        return least

    return counted


def _eight_counted(steps: int) -> Any:
    """Write the differing bits of eight codes of so many words of 64 bits, from the code `at` on."""
    word, number = ir.IntType(64), ir.IntType(32)
    eight = ir.VectorType(word, 8)

    def typed(_typing: Any, block: Any, repeated: Any, block_counts: Any, _at: Any) -> Any:
        signature = types.void(block, repeated, block_counts, types.intp)

        def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            of_block, of_query, of_counts = (
                context.make_array(signature.args[i])(context, build, arguments[i]).data for i in range(3)
            )

            first = build.mul(arguments[3], word(steps))

            def register(data: Any, place: Any) -> Any:
                value = build.load(build.bitcast(build.gep(data, [place]), eight.as_pointer()))
                value.align = 4
                return value

            count = named(build, "llvm.ctpop.v8i64", eight, 1)
            sums = []
            for i in range(steps):
                codes = register(of_block, build.add(first, word(8 * i)))
                sums.append(build.call(count, [build.xor(codes, register(of_query, word(8 * i)))]))
            halves = [ir.Constant(ir.VectorType(number, 8), list(range(first, 16, 2))) for first in (0, 1)]
            while len(sums) > 1:
                pairs = zip(sums[::2], sums[1::2], strict=True)
                sums = [build.add(*(build.shuffle_vector(*pair, half) for half in halves)) for pair in pairs]
            counts = build.trunc(sums[0], ir.VectorType(number, 8))
            place = build.bitcast(build.gep(of_counts, [arguments[3]]), counts.type.as_pointer())
            build.store(counts, place).align = 4
            return context.get_dummy_value()

        return signature, code

    return typed


def _sixteen_counted(_typing: Any, codes_and_ones: Any, _at: Any, repeated: Any, _from: Any) -> Any:
    """Write the differing bits of sixteen words of 32 bits, from the word `at` on, by those of the repeated query."""
    signature = types.void(codes_and_ones, types.intp, repeated, types.intp)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        sixteen = ir.VectorType(word, 16)
        kinds = [*signature.args[0], signature.args[2]]
        arrays = [build.extract_value(arguments[0], 0), build.extract_value(arguments[0], 1), arguments[2]]
        places = []
        for kind, array, at in zip(kinds, arrays, [arguments[1], arguments[1], arguments[3]], strict=True):
            data = context.make_array(kind)(context, build, array).data
            places.append(build.bitcast(build.gep(data, [at]), sixteen.as_pointer()))
        words = [build.load(places[i]) for i in (0, 2)]
        for value in words:
            value.align = 4
        count = named(build, "llvm.ctpop.v16i32", sixteen, 1)
        build.store(build.call(count, [build.xor(*words)]), places[1]).align = 4
        return context.get_dummy_value()

    return signature, code


_count_sixteen: Any = intrinsic(_sixteen_counted)


def _within(words: int, counters: int) -> Any:
    planes, (units, triples) = 32 * words, units_of(32 * words)
    below = _below(units, triples, counters)

    @compiled("codes within", words)
    def within(rows: Any, start: int, settings: Any, limits: Any, found: Any) -> Any:
        codes, live, base = rows
        query_ids, counts, positions = found
        (group, table, state, some), (valid, hit_counts, hit_places) = _room(
            planes, units, triples, len(settings), counters
        )
        length = 0
        for at in range(start, len(codes), GROUP):
            if length + len(settings) * GROUP > len(query_ids):
                return at, length
            if not _validity(live, len(codes), at, valid):
                continue
            transpose(codes, at, group)
            for unit in range(units):
                tabulate(group, 3 * triples * unit, table)
                for query in range(len(settings)):
                    if not below(table, (settings, query, limits), unit, state, some) or unit < units - 1:
                        continue
                    own = state[query * (counters + 1) : (query + 1) * (counters + 1)]
                    for i in range(_hits(own, valid, hit_counts, hit_places)):
                        query_ids[length] = query
                        counts[length] = hit_counts[i]
                        positions[length] = base + at + hit_places[i]
                        length += 1
        return len(codes), length

    return within


@njit(nogil=True)
def _room(planes: int, units: int, triples: int, queries: int, counters: int) -> Any:
    """Return the buffers of a pass: planes, padded with zeros, table and counts; and places of its hits."""
    group, table = empty_planes(3 * triples * units), empty_planes(16 * triples)
    group[planes:] = 0
    state, some = empty_planes(queries * (counters + 1)), np.empty(queries, np.bool_)
    hit_counts, hit_places = np.empty(GROUP, np.int32), np.empty(GROUP, np.int32)
    return (group, table, state, some), (np.empty(LANES, np.uint64), hit_counts, hit_places)


def _below(units: int, triples: int, counters: int) -> Any:
    """Return the compiled test whether a code of a group is below a query's limit, by the bits added so far.

    `state` then holds which, and their counts. It is inlined into its loops: a call would cost as much.
    """
    begin, proceed = (adder(triples, counters, first=first) for first in (True, False))

    @njit(nogil=True, inline="always")
    def below(table: Any, asked: Any, unit: int, state: Any, some: Any) -> Any:
        settings, query, limits = asked
        if unit == 0:
            some[query] = begin(table, settings, query, 0, state, limits)
        elif some[query]:
            some[query] = proceed(table, settings, query, triples * unit, state, limits)
        return some[query]

    @njit(nogil=True, inline="always")
    def below_at_once(table: Any, asked: Any, _unit: int, state: Any, _some: Any) -> Any:
        settings, query, limits = asked
        return begin(table, settings, query, 0, state, limits)

    return below if units > 1 else below_at_once


@njit(nogil=True)
def _hits(
    state: NDArray[np.uint64], valid: NDArray[np.uint64], hit_counts: NDArray[np.int32], hit_places: NDArray[np.int32]
) -> Any:
    """Write counts and places of the valid codes of a group below the limit; return their number."""
    found, counters = 0, len(state) - 1
    for lane in range(LANES):
        left = state[counters, lane] & valid[lane]
        while left:
            bit = trailing_zeros(left)
            left &= left - np.uint64(1)
            hit_counts[found] = _count(state, counters, lane, bit)
            hit_places[found] = 64 * lane + np.int64(bit)
            found += 1
    return found


@njit(nogil=True)
def _validity(live: NDArray[np.bool_], rows: int, start: int, valid: NDArray[np.uint64]) -> Any:
    """Write which codes of a group exist and are live; return whether any is."""
    some = False
    for lane in range(LANES):
        word = np.uint64(0)
        for bit in range(min(64, rows - start - 64 * lane)):
            if len(live) == 0 or live[start + 64 * lane + bit]:
                word |= np.uint64(1) << np.uint64(bit)
        valid[lane] = word
        some |= word != 0
    return some


@njit(nogil=True)
def _count(state: NDArray[np.uint64], counters: int, lane: int, bit: Any) -> Any:
    """Return the count of one code."""
    count = np.int64(0)
    for i in range(counters):
        count |= np.int64((state[i, lane] >> bit) & np.uint64(1)) << i
    return count


@njit(nogil=True)
def _limit(limits: NDArray[np.uint64], query: int, limit: int) -> None:
    """Accept only counts below this one."""
    for i in range(limits.shape[1]):
        limits[query, i] = np.uint64(0) - np.uint64((limit >> i) & 1)


@njit(nogil=True)
def _limit_of(limits: NDArray[np.uint64], query: int) -> Any:
    """Return the count that codes must be below."""
    limit = np.int64(0)
    for i in range(limits.shape[1]):
        limit |= np.int64(limits[query, i] & np.uint64(1)) << i
    return limit


@njit(nogil=True)
def _keep(counts: NDArray[np.int32], positions: NDArray[np.int64], k: int, histogram: NDArray[np.int64]) -> Any:
    """Move the k nearest to the front, in order, and return the count of the last; of equals the earlier stay."""
    histogram[:] = 0
    for count in counts:
        histogram[count] += 1
    limit = nearer = 0
    while nearer + histogram[limit] < k:
        nearer += histogram[limit]
        limit += 1
    equals, kept = k - nearer, 0
    for i in range(len(counts)):
        equal = counts[i] == limit
        if counts[i] < limit or (equal and equals > 0):
            equals -= equal
            counts[kept], positions[kept] = counts[i], positions[i]
            kept += 1
    return limit


def _instruction(name: str) -> Any:
    """Return an instruction on an unsigned word, as a function for compiled code."""

    def typed(_typing: Any, word: Any) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments, *([ir.Constant(ir.IntType(1), 1)] if name == "cttz" else []))

        return word(word), code

    return intrinsic(typed)


popcount = _instruction("ctpop")
trailing_zeros = _instruction("cttz")  # of a word that has a one
