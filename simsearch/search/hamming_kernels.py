"""Compiled passes over codes: the nearest to each query, and all within a radius. They run without Python's lock."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.search.bit_planes import GROUP, LANES, UNIT, adder, counter_planes, transpose


class Kernels(NamedTuple):
    """The passes for codes of one length.

    All read `rows`, which is codes (n, m) uint32, those of them that count (n,) bool, or (0,) for all, and the position
    of the first; `masks` (q, 32 m) uint64, all ones or zeros for each bit of a query; and `limits` (q, counters)
    uint64, likewise for the bits of the count that a code must be below.

    Attributes:
        nearest: `nearest(rows, masks, limits, k, (counts, positions, filled))` adds to what is known of the k nearest
            of each query, positions rising: `filled` (q,) of `counts` and `positions` (q, room), where room > k. It
            lowers the limits.
        nearest_of_few: The same where queries are too few to pay for slicing the codes; it takes these and, in place
            of `masks`, the queries as words of 64 bits where the length allows, else of 32.
        within: `within(rows, start, masks, limits, (lines, counts, positions))` writes every code below the limit,
            from code `start` on, a multiple of 256, and stops before a group for which there may not be room; it gives
            the code to go on at and how many it wrote.
    """

    nearest: Any
    nearest_of_few: Any
    within: Any


@cache
def kernels(words: int) -> Kernels:
    """The passes for codes of that many words of 32 bits."""
    counters = counter_planes(32 * words)
    below = _below(32 * words, counters)
    return Kernels(_nearest(words, counters, below), _nearest_of_few(words), _within(words, counters, below))


def _nearest(words: int, counters: int, below: Any) -> Any:
    planes = 32 * words

    @njit(nogil=True)
    def nearest(rows: Any, masks: Any, limits: Any, k: int, found: Any) -> None:
        codes, live, base = rows
        counts, positions, filled = found
        group, state = np.empty((planes, LANES), np.uint64), np.zeros((counters + 1, LANES), np.uint64)
        valid, histogram = np.empty(LANES, np.uint64), np.empty(planes + 1, np.int64)
        near, where = np.empty(GROUP, np.int32), np.empty(GROUP, np.int32)
        for start in range(0, len(codes), GROUP):
            if not _validity(live, len(codes), start, valid):
                continue
            transpose(codes, start, group)
            for query in range(len(masks)):
                if not below(group, masks, query, state, limits):
                    continue
                for i in range(_hits(state, valid, near, where)):
                    length = filled[query]
                    counts[query, length] = near[i]
                    positions[query, length] = base + start + where[i]
                    filled[query] = length + 1
                    if length + 1 == counts.shape[1]:
                        _limit(limits, query, _keep(counts[query], positions[query], k, histogram))
                        filled[query] = k

    return nearest


def _nearest_of_few(words: int) -> Any:
    planes = 32 * words
    steps = words if words % 2 else words // 2

    @njit(nogil=True)
    def nearest_of_few(rows: Any, queries: Any, limits: Any, k: int, found: Any) -> None:
        codes, live, base = rows
        counts, positions, filled = found
        histogram = np.empty(planes + 1, np.int64)
        for query in range(len(queries)):
            line, limit = queries[query], _limit_of(limits, query)
            for i in range(len(codes)):
                count = np.int64(0)
                for step in range(steps):
                    count += np.int64(ones(np.uint64(codes[i, step] ^ line[step])))
                if count < limit and (len(live) == 0 or live[i]):
                    length = filled[query]
                    counts[query, length] = count
                    positions[query, length] = base + i
                    filled[query] = length + 1
                    if length + 1 == counts.shape[1]:
                        limit = _keep(counts[query], positions[query], k, histogram)
                        filled[query] = k
            _limit(limits, query, limit)

    return nearest_of_few


def _within(words: int, counters: int, below: Any) -> Any:
    planes = 32 * words

    @njit(nogil=True)
    def within(rows: Any, start: int, masks: Any, limits: Any, found: Any) -> Any:
        codes, live, base = rows
        lines, counts, positions = found
        group, state = np.empty((planes, LANES), np.uint64), np.zeros((counters + 1, LANES), np.uint64)
        valid = np.empty(LANES, np.uint64)
        near, where = np.empty(GROUP, np.int32), np.empty(GROUP, np.int32)
        length = 0
        for at in range(start, len(codes), GROUP):
            if length + len(masks) * GROUP > len(lines):
                return at, length
            if not _validity(live, len(codes), at, valid):
                continue
            transpose(codes, at, group)
            for query in range(len(masks)):
                if not below(group, masks, query, state, limits):
                    continue
                for i in range(_hits(state, valid, near, where)):
                    lines[length] = query
                    counts[length] = near[i]
                    positions[length] = base + at + where[i]
                    length += 1
        return len(codes), length

    return within


def _below(planes: int, counters: int) -> Any:
    """The compiled question whether a code of a group is below a query's limit; `state` then says which, and how near.

    It becomes part of the loops that ask it: a call would cost as much as its answer.
    """
    begin = adder(min(UNIT, planes), counters, first=True)
    proceed = adder(UNIT, counters, first=False)
    whole = planes // UNIT
    rest = planes % UNIT if whole else 0
    finish = adder(rest or UNIT, counters, first=False)

    @njit(nogil=True, inline="always")
    def below(group: Any, masks: Any, query: int, state: Any, limits: Any) -> Any:
        some = begin(group, 0, masks, query, state, limits)
        unit = 1
        while some and unit < whole:
            some = proceed(group, unit * UNIT, masks, query, state, limits)
            unit += 1
        if rest and some:
            some = finish(group, whole * UNIT, masks, query, state, limits)
        return some

    return below


@njit(nogil=True)
def _hits(
    state: NDArray[np.uint64], valid: NDArray[np.uint64], near: NDArray[np.int32], where: NDArray[np.int32]
) -> Any:
    """Write counts and places of the valid codes of a group that are below the limit, and give their number."""
    found, counters = 0, len(state) - 1
    for lane in range(LANES):
        left = state[counters, lane] & valid[lane]
        while left:
            bit = trailing_zeros(left)
            left &= left - np.uint64(1)
            near[found] = _count(state, counters, lane, bit)
            where[found] = 64 * lane + np.int64(bit)
            found += 1
    return found


@njit(nogil=True)
def _validity(live: NDArray[np.bool_], rows: int, start: int, valid: NDArray[np.uint64]) -> Any:
    """Write which codes of a group exist and count, and say whether any does."""
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
    """The count of one code."""
    count = np.int64(0)
    for i in range(counters):
        count |= np.int64((state[i, lane] >> bit) & np.uint64(1)) << i
    return count


@njit(nogil=True)
def _limit(limits: NDArray[np.uint64], query: int, limit: int) -> None:
    """Let only counts below this one in."""
    for i in range(limits.shape[1]):
        limits[query, i] = np.uint64(0) - np.uint64((limit >> i) & 1)


@njit(nogil=True)
def _limit_of(limits: NDArray[np.uint64], query: int) -> Any:
    """The count that codes must be below."""
    limit = np.int64(0)
    for i in range(limits.shape[1]):
        limit |= np.int64(limits[query, i] & np.uint64(1)) << i
    return limit


@njit(nogil=True)
def _keep(counts: NDArray[np.int32], positions: NDArray[np.int64], k: int, histogram: NDArray[np.int64]) -> Any:
    """Move the k nearest to the front, in their order, and give the count of the last; the earlier of equals stay."""
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
    """An instruction on a 64-bit word, as a function for compiled code."""

    def typed(_typing: Any, _word: Any) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments, *([ir.Constant(ir.IntType(1), 1)] if name == "cttz" else []))

        return types.uint64(types.uint64), code

    return intrinsic(typed)


ones = _instruction("ctpop")
trailing_zeros = _instruction("cttz")  # of a word that has a one
