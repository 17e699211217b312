"""Compiled kernels of Hamming distances for GPUs, by popcount of words: of every pair, or the nearest codes only.

Which codes are nearest is found in three steps, so that each code is read from the device's memory once and no matrix
of distances is written. A code's key is its differing bits, then its position.

1. The least number of differing bits in each block of 1024 codes.
2. The k blocks with the least of them, ties to the first block. The k codes with the lowest keys are in these: before a
   code in another block come k codes, one of each of these blocks, which differ in fewer bits, or in as many and stand
   in a block before.
3. The keys of the codes in these k blocks, and the k lowest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor

from simsearch.runtime.triton_launch import kernel, launch

_LINES, _ROWS, _WARPS = 8, 256, 4
BLOCK = 1024
"""Codes in a block."""
MOST_ROWS = BLOCK << 20
"""Codes of a batch: the number of a block takes 20 bits, in front of them are the differing bits."""
MOST_WORDS = 63
"""Of a code, so that its differing bits take 11 bits and are never those of a dead code."""
_DEAD = tl.constexpr(2047)
_POSITION_BITS = 40
_NONE = 1 << 60  # above every key


@triton.jit  # type: ignore[untyped-decorator]
def _differing(x_at, y_at, shape: tl.constexpr, WORDS: tl.constexpr, POPCOUNT: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return differing bits of codes at addresses (queries,) and (rows,)."""
    count = tl.zeros(shape, tl.int32)
    for word in tl.static_range(WORDS):
        differ = tl.load(x_at + word)[:, None] ^ tl.load(y_at + word)[None, :]
        if POPCOUNT:
            count += tl.inline_asm_elementwise(
                "popc.b32 $0, $1;", "=r,r", [differ], dtype=tl.int32, is_pure=True, pack=1
            )
        else:  # pairs, nibbles, bytes; the product gathers the bytes in the highest one
            bits = differ.to(tl.uint32, bitcast=True)
            bits = bits - ((bits >> 1) & 0x55555555)
            bits = (bits & 0x33333333) + ((bits >> 2) & 0x33333333)
            bits = (bits + (bits >> 4)) & 0x0F0F0F0F
            count += ((bits * 0x01010101) >> 24).to(tl.int32)
    return count


@kernel
def _counts(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    a,
    b,
    out,
    lines,
    rows,
    WORDS: tl.constexpr,
    LINES: tl.constexpr,
    ROWS: tl.constexpr,
    POPCOUNT: tl.constexpr,
):
    tiles = tl.cdiv(lines, LINES)
    i = (tl.program_id(0) % tiles) * LINES + tl.arange(0, LINES)
    j = (tl.program_id(0) // tiles).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    x_at = a + tl.minimum(i, lines - 1).to(tl.int64) * WORDS
    y_at = b + tl.minimum(j, rows - 1) * WORDS
    count = _differing(x_at, y_at, (LINES, ROWS), WORDS, POPCOUNT)
    at = i.to(tl.int64)[:, None] * rows + j[None, :]
    tl.store(out + at, count.to(tl.float32), mask=(i < lines)[:, None] & (j < rows)[None, :])


@kernel
def _least(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    a,
    b,
    live,
    out,
    lines,
    rows,
    blocks,
    WORDS: tl.constexpr,
    LINES: tl.constexpr,
    ROWS: tl.constexpr,
    STEPS: tl.constexpr,
    MASKED: tl.constexpr,
    POPCOUNT: tl.constexpr,
):
    tiles = tl.cdiv(lines, LINES)
    i = (tl.program_id(0) % tiles) * LINES + tl.arange(0, LINES)
    block = tl.program_id(0) // tiles
    x_at = a + tl.minimum(i, lines - 1).to(tl.int64) * WORDS
    least = tl.full((LINES, ROWS), _DEAD, tl.int32)
    for step in tl.static_range(STEPS):
        # Beyond the last code the last one is counted again.
        j = tl.minimum(block * (ROWS * STEPS) + step * ROWS + tl.arange(0, ROWS), rows - 1)
        count = _differing(x_at, b + j.to(tl.int64) * WORDS, (LINES, ROWS), WORDS, POPCOUNT)
        if MASKED:
            count = tl.where((tl.load(live + j) != 0)[None, :], count, _DEAD)
        least = tl.minimum(least, count)
    tl.store(out + i.to(tl.int64) * blocks + block, tl.min(least, axis=1) << 20 | block, mask=i < lines)


@kernel
def _members(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    a,
    b,
    live,
    chosen,
    out,
    rows,
    taken,
    WORDS: tl.constexpr,
    ROWS: tl.constexpr,
    MASKED: tl.constexpr,
    POPCOUNT: tl.constexpr,
):
    program = tl.program_id(0)
    block = tl.load(chosen + program) & 0xFFFFF
    i = (program // taken).to(tl.int64) + tl.zeros((1,), tl.int64)
    j = block * ROWS + tl.arange(0, ROWS)
    inside = tl.minimum(j, rows - 1)
    count = _differing(a + i * WORDS, b + inside.to(tl.int64) * WORDS, (1, ROWS), WORDS, POPCOUNT)
    counts = tl.where(j < rows, tl.max(count, axis=0), _DEAD)
    if MASKED:
        counts = tl.where(tl.load(live + inside) != 0, counts, _DEAD)
    key = counts.to(tl.int64) << 40 | j.to(tl.int64)
    tl.store(out + program.to(tl.int64) * ROWS + tl.arange(0, ROWS), key)


def as_int32(codes: Tensor) -> Tensor:
    """Return codes (n, bytes) uint8 as 32-bit words (n, words), contiguous, zero-padded; a view where possible."""
    words = codes.contiguous()
    if words.shape[1] % 4:
        words = torch.nn.functional.pad(words, (0, -words.shape[1] % 4))
    return (words.clone() if words.storage_offset() % 4 else words).view(torch.int32)


def bit_counts(a: Tensor, b: Tensor) -> Tensor:
    """Return differing bits (q, n), float32, which holds them exactly.

    Args:
        a: Codes as words (q, m), int32, contiguous, on a GPU (or anywhere under Triton's interpreter).
        b: Likewise (n, m).

    Raises:
        InputError: They are not contiguous.
    """
    out = torch.empty((len(a), len(b)), device=a.device)
    launch(
        _counts,
        triton.cdiv(len(a), _LINES) * triton.cdiv(len(b), _ROWS),
        a,
        b,
        out,
        len(a),
        len(b),
        WORDS=a.shape[1],
        LINES=_LINES,
        ROWS=_ROWS,
        POPCOUNT=a.device.type == "cuda",
        num_warps=_WARPS,
    )
    return out


class Keys(NamedTuple):
    """The nearest codes of each query, nearest first, ties to the lower position.

    Attributes:
        counts: Differing bits (q, m).
        positions: (q, m).
        found: (q, m), whether there is one: live codes may be fewer.
    """

    counts: NDArray[np.int64]
    positions: NDArray[np.int64]
    found: NDArray[np.bool_]


def keys_of(keys: NDArray[np.int64]) -> Keys:
    """Return the counts and positions in the keys of `lowest_keys`."""
    counts, positions = keys >> _POSITION_BITS, keys & ((1 << _POSITION_BITS) - 1)
    return Keys(counts, positions, counts < _DEAD.value)


def lowest_keys(a: Tensor, b: Tensor, k: int, *, live: Tensor | None = None, start: int = 0) -> Tensor:
    """Return the k lowest keys (q, m), int64, ascending, of codes (n, words) for queries (q, words); m <= k, n.

    Args:
        a: Queries as words, int32, contiguous, on a GPU (or anywhere under Triton's interpreter).
        b: Codes, likewise; at most `MOST_ROWS` of them, of at most `MOST_WORDS` words.
        k: At least 1.
        live: Which codes count (n,), uint8.
        start: The position of the first code.

    Raises:
        InputError: A tensor is not contiguous.
    """
    lines, rows, blocks = len(a), len(b), triton.cdiv(len(b), BLOCK)
    taken = min(k, blocks)
    constants = {
        "WORDS": a.shape[1],
        "MASKED": live is not None,
        "POPCOUNT": a.device.type == "cuda",
        "num_warps": _WARPS,
    }
    mask = b if live is None else live
    least = torch.empty((lines, blocks), dtype=torch.int32, device=a.device)
    few = 1 if lines == 1 else _LINES
    width = BLOCK if few == 1 else _ROWS
    cut = {"LINES": few, "ROWS": width, "STEPS": BLOCK // width}
    launch(_least, triton.cdiv(lines, few) * blocks, a, b, mask, least, lines, rows, blocks, **cut, **constants)
    chosen = torch.topk(least, taken, dim=1, largest=False, sorted=False).values
    keys = torch.empty((lines, taken * BLOCK), dtype=torch.int64, device=a.device)
    launch(_members, lines * taken, a, b, mask, chosen, keys, rows, taken, ROWS=BLOCK, **constants)
    return torch.topk(keys, min(k, rows), dim=1, largest=False).values.add_(start)
