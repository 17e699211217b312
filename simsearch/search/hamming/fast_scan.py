"""Lower bounds of a query's weighted distances to many codes at once: bytes looked up by shuffles, and added.

A *plane* holds one half of a byte, a nibble, of each of `LANES` codes. What a nibble's sixteen values add to a query's
distance, rounded down to a byte, its *shares*, fits into a register, and one instruction looks up all lanes. Four sums
of them stay at 255 once they reach it. A code whose sums exceed what the limit counts is not below the limit.

Reference:
    Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough: High-Performance Nearest Neighbor Search with Product
    Quantization Fast Scan", 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.runtime.cpu import features
from simsearch.search.llvm import INT, WORD, named, prefetch

WIDE = "avx512bw" in features()
SHUFFLES = WIDE or "avx2" in features()  # whether this processor looks bytes up so
LANES = 64 if WIDE else 32  # codes in a plane
_SUMS = 4  # that are added up apart, so that shares may be finer
_LEAST, _MOST = 200.0, 800.0  # shares that the limit counts: the more, the finer; one that exceeds it alone must tell

_BYTE = ir.IntType(8)
_PLANE = ir.VectorType(_BYTE, LANES)
_AHEAD = 2  # groups that are prefetched
_CHUNK = 16  # bytes of a code that are read at once
_PARTS = LANES // _CHUNK  # of a register, within which bytes are interleaved
_INTERLEAVED = [
    ir.Constant(
        ir.VectorType(INT, LANES),
        [16 * part + 8 * half + i + LANES * source for part in range(_PARTS) for i in range(8) for source in (0, 1)],
    )
    for half in (0, 1)
]


@njit(nogil=True)
def empty_planes(count: int) -> Any:
    """Return cache-aligned memory for planes, (count, LANES) uint8."""
    room = np.empty(LANES * (count + 1), np.uint8)
    skip = -room.ctypes.data % LANES
    return room[skip : skip + LANES * count].reshape(count, LANES)


@njit(nogil=True)
def tabulate(table: NDArray[np.float64], limit: float, shares: NDArray[np.uint8]) -> Any:
    """Write the tables of nibbles (planes, 16) from those of bytes (bytes, 256); return the limit in shares.

    `planes` is the result of `planes_of`; those that belong to no byte add nothing.
    """
    limit *= 1 + 1e-9  # more than all roundings here
    parts = np.zeros((len(shares), 16))
    for byte in range(len(table)):
        least = np.argmin(table[byte])  # whose other half adds nothing
        parts[2 * byte] = table[byte, least // 16 * 16 : least // 16 * 16 + 16]
        parts[2 * byte + 1] = table[byte, least % 16 :: 16]
    largest = max(parts.max(), limit / 4)
    whole = _LEAST if largest == 0 else min(_MOST, max(_LEAST, 250 * (limit / largest)))
    for number in range(len(parts)):
        for value in range(16):
            shares[number, value] = np.uint8(min(255.0, whole * (parts[number, value] / limit)))
    return np.uint8(whole / _SUMS)


@njit(nogil=True)
def planes_of(size: int) -> Any:
    """Return the number of planes of codes of so many bytes: a multiple of four, at least those of one chunk.

    Example:
        >>> planes_of(12), planes_of(17)
        (32, 36)
    """
    return max(2 * _CHUNK, 4 * -(-size // 2))


@njit(nogil=True)
def split(codes: NDArray[np.uint8], start: int, planes: NDArray[np.uint8]) -> None:
    """Write the nibbles of the codes (n, size), in one piece, from `start` on into planes (planes_of(size), LANES).

    Lanes behind the last code are zeros; planes that belong to no byte may hold anything.
    """
    size = codes.shape[1]
    behind = len(codes) - start - LANES + 1  # codes from the last of the lanes on: a chunk of it reaches so far
    if behind > 0 and behind * size >= _CHUNK:
        _prefetch_group(codes, start + _AHEAD * LANES)
        for first in range(0, size, _CHUNK):
            _split_chunk(codes, start, max(0, min(first, size - _CHUNK)), planes)
    else:
        planes[:] = 0
        for i in range(min(LANES, len(codes) - start)):
            for byte in range(size):
                planes[2 * byte, i] = codes[start + i, byte] & 15
                planes[2 * byte + 1, i] = codes[start + i, byte] >> 4


def _group_prefetched(_typing: Any, codes: Any, _start: Any) -> Any:
    """Prefetch the codes of a group."""
    signature = types.void(codes, types.intp)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, build, arguments[0])
        size = build.extract_value(array.shape, 1)
        first = build.add(build.ptrtoint(array.data, WORD), build.mul(arguments[1], size))
        prefetch(build, first, build.mul(size, WORD(LANES)))
        return context.get_dummy_value()

    return signature, code


_prefetch_group: Any = intrinsic(_group_prefetched)


def _chunk_split(_typing: Any, codes: Any, _start: Any, _first: Any, planes: Any) -> Any:
    """Write the planes of sixteen bytes of codes, from a byte on; of a short code, what follows is read too.

    Register r takes the bytes of code 16 l + r in its part l. Interleaving the bytes of register r with those of r + 8
    turns the bits of register and byte by one: four times, and each register holds one byte of all codes in order.
    """
    signature = types.void(codes, types.intp, types.intp, planes)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        given, made = (context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 3))
        size = build.extract_value(given.shape, 1)
        base = build.gep(given.data, [build.add(build.mul(arguments[1], size), arguments[2])])
        planes = []
        for r in range(_CHUNK):
            places = [build.mul(size, WORD(_CHUNK * part + r)) for part in range(_PARTS)]
            planes.append(_gathered(build, base, places))
        for _ in range(4):
            planes = [build.shuffle_vector(planes[i], planes[i + 8], order) for i in range(8) for order in _INTERLEAVED]
        nibble, four = (ir.Constant(_PLANE, [value] * LANES) for value in (15, 4))
        target = build.gep(made.data, [build.mul(arguments[2], WORD(2 * LANES))])
        for byte, plane in enumerate(planes):
            for half, value in enumerate((plane, build.lshr(plane, four))):
                place = build.gep(target, [WORD((2 * byte + half) * LANES)])
                build.store(build.and_(value, nibble), build.bitcast(place, _PLANE.as_pointer())).align = 1
        return context.get_dummy_value()

    return signature, code


_split_chunk: Any = intrinsic(_chunk_split)


def _gathered(build: Any, base: Any, places: list[Any]) -> Any:
    """Return chunks of sixteen bytes behind each other in a register."""
    parts = [_loaded(build, base, place, ir.VectorType(_BYTE, _CHUNK)) for place in places]
    while len(parts) > 1:
        width = parts[0].type.count
        whole = ir.Constant(ir.VectorType(INT, 2 * width), list(range(2 * width)))
        parts = [build.shuffle_vector(one, other, whole) for one, other in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _nearer(_typing: Any, planes: Any, shares: Any, _whole: Any) -> Any:
    """Return a bit mask of the codes of planes (n, LANES) that may be below the limit, by the result of `tabulate`."""
    signature = types.uint64(planes, shares, types.uint8)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        nibbles, shares = (
            context.make_array(kind)(context, build, value)
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        )
        steps = build.udiv(build.extract_value(nibbles.shape, 0), WORD(_SUMS))
        zero = ir.Constant(_PLANE, [0] * LANES)
        sums = [cgutils.alloca_once_value(build, zero) for _ in range(_SUMS)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(build, steps) as loop:
            for i, total in enumerate(sums):
                number = build.add(build.mul(loop.index, WORD(_SUMS)), WORD(i))
                values = _loaded(build, nibbles.data, build.mul(number, WORD(LANES)), _PLANE)
                found = _looked_up(build, _share(build, shares.data, build.mul(number, WORD(16))), values)
                build.store(_added(build, build.load(total), found), total)
        means = [build.load(total) for total in sums]
        while len(means) > 1:
            means = [_mean(build, one, other) for one, other in zip(means[::2], means[1::2], strict=True)]
        most = build.add(arguments[2], _BYTE(1))  # two roundings up, by a half each
        most = build.insert_element(zero, most, INT(0))
        most = build.shuffle_vector(most, most, ir.Constant(ir.VectorType(INT, LANES), [0] * LANES))
        near = build.bitcast(build.icmp_unsigned("<=", means[0], most), ir.IntType(LANES))
        return near if WIDE else build.zext(near, WORD)

    return signature, code


nearer: Any = intrinsic(_nearer)


def _loaded(build: Any, base: Any, place: Any, kind: Any) -> Any:
    value = build.load(build.bitcast(build.gep(base, [place]), kind.as_pointer()))
    value.align = 1
    return value


def _share(build: Any, base: Any, place: Any) -> Any:
    """Return the sixteen bytes there, in every part of a register."""
    some = _loaded(build, base, place, ir.VectorType(_BYTE, 16))
    return build.shuffle_vector(some, some, ir.Constant(ir.VectorType(INT, LANES), list(range(16)) * (LANES // 16)))


def _looked_up(build: Any, table: Any, nibbles: Any) -> Any:
    name = "llvm.x86.avx512.pshuf.b.512" if WIDE else "llvm.x86.avx2.pshuf.b"
    return build.call(named(build, name, _PLANE, 2), [table, nibbles])


def _added(build: Any, one: Any, other: Any) -> Any:
    return build.call(named(build, f"llvm.uadd.sat.v{LANES}i8", _PLANE, 2), [one, other])


def _mean(build: Any, one: Any, other: Any) -> Any:
    """Return the mean, rounded up, in one instruction."""
    wide = ir.VectorType(ir.IntType(16), LANES)
    total = build.add(build.add(build.zext(one, wide), build.zext(other, wide)), ir.Constant(wide, [1] * LANES))
    return build.trunc(build.lshr(total, ir.Constant(wide, [1] * LANES)), _PLANE)
