"""A compiled kernel of Hamming distances for GPUs: differing bits of every pair of codes, by popcount of words."""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

_LINES, _ROWS, _WARPS = 8, 256, 4


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(  # type: ignore[no-untyped-def]  # noqa: PLR0917
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
    count = tl.zeros((LINES, ROWS), tl.int32)
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
    at = i.to(tl.int64)[:, None] * rows + j[None, :]
    tl.store(out + at, count.to(tl.float32), mask=(i < lines)[:, None] & (j < rows)[None, :])


def bit_counts(a: Tensor, b: Tensor) -> Tensor:
    """Differing bits (q, n), float32, which holds them exactly.

    Args:
        a: Codes as words (q, m), int32, contiguous, on a GPU (or anywhere under Triton's interpreter).
        b: Likewise (n, m).
    """
    out = torch.empty((len(a), len(b)), device=a.device)
    programs = triton.cdiv(len(a), _LINES) * triton.cdiv(len(b), _ROWS)
    if programs:
        _kernel[(programs,)](
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
