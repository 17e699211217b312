"""Triton kernels that do nothing but one operation again and again, to find how many a device does in a second."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

_BLOCK = 1024


@triton.jit
def _log2_chain(out, rounds, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = (at % 1000).to(tl.float32) + 1.5
    for _ in range(rounds):
        x = tl.inline_asm_elementwise("lg2.approx.ftz.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)
        x = x + 2.5
    tl.store(out + at, x)


@triton.jit
def _popcount_chain(out, rounds, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = at
    for _ in range(rounds):
        x = tl.inline_asm_elementwise("popc.b32 $0, $1;", "=r,r", [x], dtype=tl.int32, is_pure=True, pack=1)
        x = x ^ at
    tl.store(out + at, x)


def run_chain(operation: str, out: torch.Tensor, rounds: int) -> None:
    """Fill `out` (a multiple of 1024 values) with the ends of chains of that many operations."""
    kernel = {"log2": _log2_chain, "popcount": _popcount_chain}[operation]
    kernel[(out.numel() // _BLOCK,)](out, rounds, BLOCK=_BLOCK)
