"""Compiled passes of code tables: keys counted and sorted, codes looked up by them, and votes for items.

A key is some of a descriptor's bits; tables hold numbers of codes, item x room + place, in the order of their keys.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.runtime.jit import compiled
from simsearch.search.hamming.kernels import popcount
from simsearch.spatial.geometry_kernels import best_hypothesis

FARTHEST = 22  # bits of 128 in which a code that votes may differ
POPULAR = 32  # codes of one key above which none of them votes
_BYTES, _SIZE, _BITS = 22, 4, 6  # of a point, and where its size and its descriptor lie


@compiled("code tables", "count")
def count_keys(points: NDArray[np.uint8], sample: NDArray[np.uint8], counts: NDArray[np.uint32]) -> None:
    """Add to `counts` (2^b + 1,), behind its place, each key of points (n, 22), but of padding."""
    for i in range(len(points)):
        if points[i, _SIZE]:
            counts[_key(points[i], sample) + 1] += np.uint32(1)


@compiled("code tables", "sort")
def sort_codes(
    points: NDArray[np.uint8],
    sample: NDArray[np.uint8],
    first: int,
    places: NDArray[np.uint32],
    order: NDArray[np.uint32],
) -> None:
    """Write the numbers of points, from `first` on, to `order` (c,), each at the next of its key's `places` (2^b,)."""
    for i in range(len(points)):
        if points[i, _SIZE]:
            key = _key(points[i], sample)
            order[places[key]] = first + i
            places[key] += np.uint32(1)


@njit(nogil=True)
def _key(point: Any, sample: NDArray[np.uint8]) -> Any:
    key = np.int64(0)
    for i in range(len(sample)):
        key |= np.int64((point[_BITS + (sample[i] >> 3)] >> (sample[i] & 7)) & 1) << i
    return key


@compiled("code tables", "probe")
def probe(tables: Any, blocks: Any, live: Any, task: Any, hits: NDArray[np.uint64]) -> Any:
    """Find codes near points of a query, from one of them on, until the buffer may be full.

    Args:
        tables: A `code_tables.Tables`.
        blocks: Addresses of blocks of points (m,), the first code of each and the end (m + 1,), and points of an item.
        live: Whether an item (n,) may have votes; empty for all.
        task: Points of the query (q, 22), and the one to start with.
        hits: Written: code, point and distance of each, in the bits of a number; a code may be there several times.

    Returns:
        The point to resume at, whose hits are not among those written, and how many are.
    """
    (samples, starts, order), (addresses, firsts, room), (points, start) = tables, blocks, task
    length = 0
    for point in range(start, len(points)):
        before, one, other = length, _word(points[point], _BITS), _word(points[point], _BITS + 8)
        for table in range(len(samples)):
            own = _key(points[point], samples[table])
            for flip in range(-1, samples.shape[1]):
                key = own if flip < 0 else own ^ (np.int64(1) << flip)
                low, high = np.int64(starts[table, key]), min(np.int64(starts[table, key + 1]), order.shape[1])
                if high - low > POPULAR:
                    continue
                for place in range(low, high):
                    code = np.int64(order[table, place])
                    if code >= firsts[-1] or (len(live) and not live[code // room]):
                        continue
                    address = _address(addresses, firsts, code) + np.uint64(_BITS)
                    distance = popcount(word_at(address) ^ one) + popcount(word_at(address + np.uint64(8)) ^ other)
                    if distance <= FARTHEST:
                        if length == len(hits):
                            return point, before
                        hits[length] = (
                            (np.uint64(code) << np.uint64(24)) | (np.uint64(point) << np.uint64(8)) | distance
                        )
                        length += 1
    return len(points), length


@njit(nogil=True)
def _word(point: NDArray[np.uint8], first: int) -> Any:
    word = np.uint64(0)
    for i in range(8):
        word |= np.uint64(point[first + i]) << np.uint64(8 * i)
    return word


@njit(nogil=True)
def _address(addresses: NDArray[np.uint64], firsts: NDArray[np.int64], code: Any) -> Any:
    """Return where a point lies in memory."""
    block = np.searchsorted(firsts, code, side="right") - 1 if len(addresses) > 1 else 0
    return addresses[block] + np.uint64((code - firsts[block]) * _BYTES)


@compiled("code tables", "vote")
def vote(hits: NDArray[np.uint64], blocks: Any, query: Any, items: Any, votes: Any) -> int:
    """Write the votes of each item that has any, in its best view, and return how many items there are.

    Args:
        hits: Of all points of a query, rising, each once (h,): by code, then by point.
        blocks: As in `probe`.
        query: Places, logarithms of scales, directions and descriptors of the query's points, and the number of each
            one's view (q, ...).
        items: (h,) int64, written, rising.
        votes: (h,) float64, written.
    """
    (_, firsts, room), (points, views), count = blocks, query, 0
    weights = _weights(hits, len(views), firsts[-1] // room)
    nearest, kept, start = np.full(len(views), -1), np.empty(len(views), np.int64), 0
    while start < len(hits):
        item, stop = _code(hits[start]) // room, start
        while stop < len(hits) and _code(hits[stop]) // room == item:
            stop += 1
        some = _nearest(hits[start:stop], nearest, kept)
        items[count], votes[count] = item, 0.0
        for view in range(views[-1] + 1 if len(views) else 0):
            own = np.array([start + i for i in some if views[_point(hits[start + i])] == view])
            if len(own):
                votes[count] = max(votes[count], _agreeing(hits, own, weights, blocks, points))
        count += 1
        start = stop
    return count


@njit(nogil=True)
def _code(hit: Any) -> Any:
    return np.int64(hit >> np.uint64(24))


@njit(nogil=True)
def _point(hit: Any) -> Any:
    return np.int64((hit >> np.uint64(8)) & np.uint64(0xFFFF))


@njit(nogil=True)
def _distance(hit: Any) -> Any:
    return np.int64(hit & np.uint64(0xFF))


@njit(nogil=True)
def _weights(hits: NDArray[np.uint64], points: int, items: int) -> NDArray[np.float64]:
    """Return a vote's weight by point and distance (q, FARTHEST + 1): the rarer so near a code, the more it says."""
    counts = np.zeros((points, FARTHEST + 1), np.int64)
    for hit in hits:
        counts[_point(hit), _distance(hit)] += 1
    weights = np.zeros(counts.shape)
    for point in range(points):
        nearer = 0
        for distance in range(FARTHEST + 1):
            nearer += counts[point, distance]
            if nearer:
                weights[point, distance] = math.log1p(items / nearer)
    return weights


@njit(nogil=True)
def _nearest(hits: NDArray[np.uint64], nearest: NDArray[np.int64], kept: NDArray[np.int64]) -> Any:
    """Return, of an item's hits, each point's nearest; the first of equals."""
    count = 0
    for i in range(len(hits)):
        point = _point(hits[i])
        if nearest[point] < 0:
            kept[count], nearest[point] = point, i
            count += 1
        elif _distance(hits[i]) < _distance(hits[nearest[point]]):
            nearest[point] = i
    some = nearest[kept[:count]]
    nearest[kept[:count]] = -1
    return some


@njit(nogil=True)
def _agreeing(hits: Any, own: NDArray[np.int64], weights: Any, blocks: Any, query: Any) -> float:
    """Return the weight of those votes of an item that agree on a map; see `best_hypothesis`."""
    addresses, firsts, _ = blocks
    count = len(own)
    places, scales, turns = np.empty((count, 2)), np.empty(count), np.empty(count)
    pairs, some, agree = np.empty((count, 2), np.int64), np.empty(count), np.zeros(count, np.bool_)
    for i in range(count):
        hit = hits[own[i]]
        head = word_at(_address(addresses, firsts, _code(hit)))
        places[i, 0] = np.float64(head & np.uint64(0xFFFF)) / 65536
        places[i, 1] = np.float64((head >> np.uint64(16)) & np.uint64(0xFFFF)) / 65536
        scales[i] = np.float64((head >> np.uint64(32)) & np.uint64(0xFF)) * (-math.log(2) / 32)
        turns[i] = np.float64((head >> np.uint64(40)) & np.uint64(0xFF)) * (math.tau / 256)
        pairs[i, 0], pairs[i, 1] = _point(hit), i
        some[i] = weights[_point(hit), _distance(hit)]
    return best_hypothesis(query, (places, scales, turns, query[3]), pairs, some, agree)


def _loaded(_typing: Any, address: Any) -> Any:
    """Return the word of eight bytes at an address, which need not be aligned."""

    def code(_context: Any, build: Any, _signature: Any, arguments: Any) -> Any:
        word = build.load(build.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(address), code


word_at: Any = intrinsic(_loaded)
