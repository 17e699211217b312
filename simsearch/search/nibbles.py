"""Lower bounds of a query's weighted distances to many codes at once: bytes looked up by shuffles, and added.

A *plane* holds one half of a byte, a nibble, of each of `LANES` codes. What a nibble's sixteen values add to a query's
distance, rounded down to a byte, its *shares*, fits into a register, and one instruction looks up all lanes. Four sums
of them stay at 255 once they reach it. A code whose sums exceed what the limit counts is not below the limit.

Reference:
    Andre, Kermarrec, Le Scouarnec, "Cache locality is not enough: High-Performance Nearest Neighbor Search with Product
    Quantization Fast Scan", 2015.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from simsearch.search.bit_planes import LINE, ask_for, named

_FEATURES = binding.get_host_cpu_features()
WIDE = bool(_FEATURES.get("avx512bw"))
SHUFFLES = bool(WIDE or _FEATURES.get("avx2"))  # whether this processor looks bytes up so
LANES = 64 if WIDE else 32  # codes in a plane
_SUMS = 4  # that are added up apart, so that shares may be finer
_LEAST, _MOST = 200.0, 800.0  # shares that the limit counts: the more, the finer; one that exceeds it alone must tell

_BYTE, _INT, _WORD = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_PLANE = ir.VectorType(_BYTE, LANES)
_AHEAD = 2  # groups whose codes are asked for before their turn
_CHUNK = 16  # bytes of a code that are read at once
_PARTS = LANES // _CHUNK  # of a register, within which bytes are interleaved
_INTERLEAVED = [
    ir.Constant(
        ir.VectorType(_INT, LANES),
        [16 * part + 8 * half + i + LANES * source for part in range(_PARTS) for i in range(8) for source in (0, 1)],
    )
    for half in (0, 1)
]


@njit(nogil=True)
def empty_planes(count: int) -> Any:
    """Room for planes, (count, LANES) uint8, none of which lies across two lines of the cache."""
    room = np.empty(LANES * (count + 1), np.uint8)
    skip = -room.ctypes.data % LANES
    return room[skip : skip + LANES * count].reshape(count, LANES)


@njit(nogil=True)
def tabulate(table: NDArray[np.float64], limit: float, shares: NDArray[np.uint8]) -> Any:
    """Write what nibbles add (planes, 16) from what bytes add (bytes, 256), and give how many shares the limit counts.

    `planes` is what `planes_of` says; of those that no nibble fills, none adds anything.
    """
    parts = np.zeros((len(shares), 16))
    for byte in range(len(table)):
        own = np.argmin(table[byte])  # whose other half adds nothing
        parts[2 * byte] = table[byte, own // 16 * 16 : own // 16 * 16 + 16]
        parts[2 * byte + 1] = table[byte, own % 16 :: 16]
    whole = min(_MOST, max(_LEAST, 250 * (limit / max(parts.max(), limit / 4))))
    for number in range(len(parts)):
        for value in range(16):
            shares[number, value] = np.uint8(min(255.0, whole * (parts[number, value] / limit)))
    return np.uint8(whole / _SUMS)


def planes_of(size: int) -> int:
    """How many planes codes of so many bytes take: a multiple of four.

    Example:
        >>> planes_of(12), planes_of(13)
        (24, 28)
    """
    return 4 * -(-size // 2)


@cache
def splitter(size: int) -> Any:
    """The compiled step `split(codes, start, planes)` for codes of that many bytes.

    It writes the nibbles (2 size, LANES) of the codes (n, size) from `start` on; zeros behind the last code.
    """
    chunks = [intrinsic(_chunk_split(size, max(0, min(first, size - _CHUNK)))) for first in range(0, size, _CHUNK)]
    if not chunks:
        return _split_bytes
    split_chunks = _one_after_another(chunks)

    @njit(nogil=True)
    def split(codes: NDArray[np.uint8], start: int, planes: NDArray[np.uint8]) -> None:
        behind = len(codes) - start - LANES + 1  # codes from the last of the lanes on: a chunk of it reaches so far
        if behind > 0 and behind * codes.shape[1] >= _CHUNK:
            split_chunks(codes, start, planes)
        else:
            _split_bytes(codes, start, planes)

    return split


def _one_after_another(steps: list[Any]) -> Any:
    first, rest = steps[0], _one_after_another(steps[1:]) if len(steps) > 1 else None

    @njit(nogil=True)
    def all_of_them(codes: Any, start: Any, planes: Any) -> None:
        first(codes, start, planes)
        if rest is not None:
            rest(codes, start, planes)

    return all_of_them


@njit(nogil=True)
def _split_bytes(codes: NDArray[np.uint8], start: int, planes: NDArray[np.uint8]) -> None:
    planes[:] = 0
    for i in range(min(LANES, len(codes) - start)):
        for byte in range(codes.shape[1]):
            planes[2 * byte, i] = codes[start + i, byte] & 15
            planes[2 * byte + 1, i] = codes[start + i, byte] >> 4


def _chunk_split(size: int, first: int) -> Any:
    """Write the planes of sixteen bytes of codes of a size, from a byte on; of a short code, what follows is read too.

    Register r takes the bytes of code 16 l + r in its part l. Interleaving the bytes of register r with those of r + 8
    turns the bits of register and byte by one: four times, and each register holds one byte of all codes in order.
    """

    def typed(_typing: Any, codes: Any, _start: Any, planes: Any) -> Any:
        signature = types.void(codes, types.intp, planes)

        def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            given, made = (context.make_array(signature.args[i])(context, build, arguments[i]).data for i in (0, 2))
            base = build.gep(given, [build.add(build.mul(arguments[1], _WORD(size)), _WORD(first))])
            for line in range(0, 0 if first else LANES * size, LINE):
                ask_for(build, build.gep(base, [_WORD(_AHEAD * LANES * size + line)]))
            planes = [_gathered(build, base, [size * (_CHUNK * part + r) for part in range(_PARTS)]) for r in range(16)]
            for _ in range(4):
                planes = [
                    build.shuffle_vector(planes[i], planes[i + 8], order) for i in range(8) for order in _INTERLEAVED
                ]
            nibble, four = (ir.Constant(_PLANE, [value] * LANES) for value in (15, 4))
            for byte, plane in enumerate(planes[: size - first]):
                for half, value in enumerate((plane, build.lshr(plane, four))):
                    place = build.gep(made, [_WORD((2 * (first + byte) + half) * LANES)])
                    build.store(build.and_(value, nibble), build.bitcast(place, _PLANE.as_pointer())).align = 1
            return context.get_dummy_value()

        return signature, code

    return typed


def _gathered(build: Any, base: Any, places: list[int]) -> Any:
    """Chunks of sixteen bytes behind each other in a register."""
    parts = [_loaded(build, base, _WORD(place), ir.VectorType(_BYTE, _CHUNK)) for place in places]
    while len(parts) > 1:
        width = parts[0].type.count
        whole = ir.Constant(ir.VectorType(_INT, 2 * width), list(range(2 * width)))
        parts = [build.shuffle_vector(one, other, whole) for one, other in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _nearer(_typing: Any, planes: Any, shares: Any, _whole: Any) -> Any:
    """Which codes, bit by bit, may be below the limit: of planes (n, LANES), by what `tabulate` wrote and gave."""
    signature = types.uint64(planes, shares, types.uint8)

    def code(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        nibbles, shares = (
            context.make_array(kind)(context, build, value)
            for kind, value in zip(signature.args[:2], arguments[:2], strict=True)
        )
        steps = build.udiv(build.extract_value(nibbles.shape, 0), _WORD(_SUMS))
        zero = ir.Constant(_PLANE, [0] * LANES)
        sums = [cgutils.alloca_once_value(build, zero) for _ in range(_SUMS)]  # type: ignore[no-untyped-call]
        with cgutils.for_range(build, steps) as loop:
            for i, total in enumerate(sums):
                number = build.add(build.mul(loop.index, _WORD(_SUMS)), _WORD(i))
                values = _loaded(build, nibbles.data, build.mul(number, _WORD(LANES)), _PLANE)
                found = _looked_up(build, _share(build, shares.data, build.mul(number, _WORD(16))), values)
                build.store(_added(build, build.load(total), found), total)
        means = [build.load(total) for total in sums]
        while len(means) > 1:
            means = [_mean(build, one, other) for one, other in zip(means[::2], means[1::2], strict=True)]
        most = build.add(arguments[2], _BYTE(1))  # two roundings up, by a half each
        most = build.insert_element(zero, most, _INT(0))
        most = build.shuffle_vector(most, most, ir.Constant(ir.VectorType(_INT, LANES), [0] * LANES))
        near = build.bitcast(build.icmp_unsigned("<=", means[0], most), ir.IntType(LANES))
        return near if WIDE else build.zext(near, _WORD)

    return signature, code


nearer: Any = intrinsic(_nearer)


def _loaded(build: Any, base: Any, place: Any, kind: Any) -> Any:
    value = build.load(build.bitcast(build.gep(base, [place]), kind.as_pointer()))
    value.align = 1
    return value


def _share(build: Any, base: Any, place: Any) -> Any:
    """The sixteen bytes there, in every part of a register."""
    some = _loaded(build, base, place, ir.VectorType(_BYTE, 16))
    return build.shuffle_vector(some, some, ir.Constant(ir.VectorType(_INT, LANES), list(range(16)) * (LANES // 16)))


def _looked_up(build: Any, table: Any, nibbles: Any) -> Any:
    name = "llvm.x86.avx512.pshuf.b.512" if WIDE else "llvm.x86.avx2.pshuf.b"
    return build.call(named(build, name, _PLANE, 2), [table, nibbles])


def _added(build: Any, one: Any, other: Any) -> Any:
    return build.call(named(build, f"llvm.uadd.sat.v{LANES}i8", _PLANE, 2), [one, other])


def _mean(build: Any, one: Any, other: Any) -> Any:
    """Rounded up; one instruction."""
    wide = ir.VectorType(ir.IntType(16), LANES)
    total = build.add(build.add(build.zext(one, wide), build.zext(other, wide)), ir.Constant(wide, [1] * LANES))
    return build.trunc(build.lshr(total, ir.Constant(wide, [1] * LANES)), _PLANE)
