"""Lower bounds of a query's weighted distances to many codes at once: bytes looked up by shuffles, and added.

A *plane* holds one half of a byte, a nibble, of each of `LANES` codes. What a nibble's sixteen values add to a query's
distance fits, rounded down to a byte, into a register's table, and one instruction looks up all lanes. Sums that reach
255 stay there: whatever does belongs to a code that is not nearer than the distance for which the tables were made.

Reference:
    Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough: High-Performance Nearest Neighbor Search with Product
    Quantization Fast Scan", 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.search.bit_planes import named

_FEATURES = binding.get_host_cpu_features()
WIDE = bool(_FEATURES.get("avx512bw"))
SHUFFLES = bool(WIDE or _FEATURES.get("avx2"))  # whether this processor looks bytes up so
LANES = 64 if WIDE else 32  # codes in a plane
_FULL = 250.0  # what the limit of a table counts, below 255 for all that floating point rounds

_BYTE, _INT, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_PLANE = ir.VectorType(_BYTE, LANES)
_QUARTER = LANES // 4  # words of 32 bits in a register
_WORDS = ir.VectorType(_INT, _QUARTER)


@njit(nogil=True)
def empty_planes(count: int) -> Any:
    """Room for planes, (count, LANES) uint8, none of which lies across two lines of the cache."""
    room = np.empty(LANES * (count + 1), np.uint8)
    skip = -room.ctypes.data % LANES
    return room[skip : skip + LANES * count].reshape(count, LANES)


@njit(nogil=True)
def tabulate(table: NDArray[np.float64], limit: float, planes: NDArray[np.uint8]) -> None:
    """Write what nibbles add (2 bytes, LANES) from what bytes add (bytes, 256), where distances below `limit` count."""
    for byte in range(len(table)):
        own = np.argmin(table[byte])
        for value in range(16):
            high, low = table[byte, 16 * value + own % 16], table[byte, own // 16 * 16 + value]
            for lane in range(value, LANES, 16):
                planes[2 * byte, lane] = _share(low, limit)
                planes[2 * byte + 1, lane] = _share(high, limit)


@njit(nogil=True, inline="always")
def _share(part: float, limit: float) -> Any:
    return np.uint8(min(255.0, _FULL * (part / limit)))


@njit(nogil=True)
def split(codes: NDArray[np.uint8], start: int, planes: NDArray[np.uint8]) -> None:
    """Write the nibbles (2 bytes, LANES) of the codes (n, bytes) from `start` on; zeros behind the last code."""
    size = codes.shape[1]
    if len(codes) - start < LANES:
        planes[:] = 0
        for i in range(len(codes) - start):
            for byte in range(size):
                planes[2 * byte, i] = codes[start + i, byte] & 15
                planes[2 * byte + 1, i] = codes[start + i, byte] >> 4
    elif size < 4:
        for byte in range(size):
            for i in range(LANES):
                planes[2 * byte, i] = codes[start + i, byte] & 15
                planes[2 * byte + 1, i] = codes[start + i, byte] >> 4
    else:
        for byte in range(0, size, 4):
            _split_four(codes, start, min(byte, size - 4), planes)


def _four_split(_typing: Any, codes: Any, _start: Any, _byte: Any, planes: Any) -> Any:
    """Write the eight planes of four bytes of codes, from a byte on."""
    signature = types.void(codes, types.intp, types.intp, planes)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        given, made = (context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 3))
        size = build.extract_value(given.shape, 1)
        first = build.add(build.mul(arguments[1], size), arguments[2])
        words = []
        for quarter in range(4):
            vector = ir.Constant(_WORDS, ir.Undefined)
            for i in range(_QUARTER):
                place = build.add(first, build.mul(size, _WORD(quarter * _QUARTER + i)))
                word = build.load(build.bitcast(build.gep(given.data, [place]), _INT.as_pointer()))
                word.align = 1
                vector = build.insert_element(vector, word, _INT(i))
            words.append(_by_byte(build, vector))
        base = build.gep(made.data, [build.mul(arguments[2], _WORD(2 * LANES))])
        nibble = ir.Constant(_PLANE, [15] * LANES)
        for byte, plane in enumerate(_planes(build, words)):
            for half, value in enumerate((plane, build.lshr(plane, ir.Constant(_PLANE, [4] * LANES)))):
                place = build.gep(base, [_WORD((2 * byte + half) * LANES)])
                store = build.store(build.and_(value, nibble), build.bitcast(place, _PLANE.as_pointer()))
                store.align = 1
        return context.get_dummy_value()

    return signature, code


_split_four: Any = intrinsic(_four_split)


def _by_byte(build: Any, words: Any) -> Any:
    """Of each four words, their first bytes, their second ones, and so on; as words again."""
    whole = build.bitcast(words, _PLANE)
    order = [16 * lane + 4 * word + byte for lane in range(LANES // 16) for byte in range(4) for word in range(4)]
    return build.bitcast(_shuffled(build, whole, whole, order), _WORDS)


def _planes(build: Any, quarters: list[Any]) -> list[Any]:
    """The planes of four bytes, from its quarters as `_by_byte` gives them."""
    fours = _QUARTER // 4  # of each byte in a quarter
    planes = []
    for pair in (0, 2):
        halves = []
        for one, other in (quarters[:2], quarters[2:]):
            order = [
                source * _QUARTER + 4 * i + byte
                for byte in (pair, pair + 1)
                for source in range(2)
                for i in range(fours)
            ]
            halves.append(_shuffled(build, one, other, order))
        for half in (0, 1):
            order = [source * _QUARTER + half * 2 * fours + i for source in range(2) for i in range(2 * fours)]
            planes.append(build.bitcast(_shuffled(build, halves[0], halves[1], order), _PLANE))
    return planes


def _shuffled(build: Any, one: Any, other: Any, order: list[int]) -> Any:
    return build.shuffle_vector(one, other, ir.Constant(ir.VectorType(_INT, len(order)), order))


def _nearer(_typing: Any, planes: Any, tables: Any) -> Any:
    """Which codes, bit by bit, have sums below 255: of planes (2 bytes, LANES) in the tables of a query, as long."""
    signature = types.uint64(planes, tables)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, build, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        length = build.udiv(build.extract_value(arrays[0].shape, 0), _WORD(2))
        zero = ir.Constant(_PLANE, [0] * LANES)
        sums = [cgutils.alloca_once_value(build, zero) for _ in range(2)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(build, length) as loop:
            for half, total in enumerate(sums):
                place = build.mul(build.add(build.mul(loop.index, _WORD(2)), _WORD(half)), _WORD(LANES))
                nibbles, table = (_plane_at(build, array, place) for array in arrays)
                build.store(_added(build, build.load(total), _looked_up(build, table, nibbles)), total)
        both = _added(build, *(build.load(total) for total in sums))
        below = build.bitcast(build.icmp_unsigned("!=", both, ir.Constant(_PLANE, [255] * LANES)), ir.IntType(LANES))
        return below if WIDE else build.zext(below, _WORD)

    return signature, code


nearer: Any = intrinsic(_nearer)


def _plane_at(build: Any, array: Any, place: Any) -> Any:
    plane = build.load(build.bitcast(build.gep(array.data, [place]), _PLANE.as_pointer()))
    plane.align = 1
    return plane


def _looked_up(build: Any, table: Any, nibbles: Any) -> Any:
    name = "llvm.x86.avx512.pshuf.b.512" if WIDE else "llvm.x86.avx2.pshuf.b"
    return build.call(named(build, name, _PLANE, 2), [table, nibbles])


def _added(build: Any, one: Any, other: Any) -> Any:
    return build.call(named(build, f"llvm.uadd.sat.v{LANES}i8", _PLANE, 2), [one, other])
