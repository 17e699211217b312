"""A compiled kernel of exact js for GPUs: sums of (p+q) ln (p+q) over tiles of queries and rows.

A coordinate of a pair costs one addition, one logarithm and one multiply-add. The logarithm is the limit: a
multiprocessor of Hopper's does 16 a clock, beside 128 of the others, so that a logarithm must come with fewer than 8
other instructions. A program therefore keeps a tile of 32 queries x 32 rows x 8 coordinates of sums in registers and
adds up over its coordinates without exchanging anything between threads; one reduction at the end closes the sums.
As compiled for Hopper a step of the loop is 116 instructions a thread for 32 logarithms (256 clocks of the unit that
does them), in 59 registers, so that 32 warps share a multiprocessor and hide the loads. What is loaded,
(32 + 32) x 8 numbers, serves 32 x 32 x 8 logarithms. Programs of one tile of rows and neighbouring tiles of queries run
side by side, so that rows come from device memory once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from simsearch.runtime.triton_launch import kernel, launch


class Tile(NamedTuple):
    """The tile of one program of the kernel, and its warps."""

    lines: int = 32
    rows: int = 32
    columns: int = 8
    warps: int = 8


TILE = Tile()


@kernel
def _kernel(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    p,
    q,
    out,
    lines,
    rows,
    dimension,
    factor,
    LINES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WHOLE: tl.constexpr,
    APPROXIMATE: tl.constexpr,
):
    tiles = tl.cdiv(lines, LINES)
    i = (tl.program_id(0) % tiles) * LINES + tl.arange(0, LINES)
    j = (tl.program_id(0) // tiles) * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, COLUMNS)
    # Beyond the last query or row the last one is computed again, and not written.
    x_at = p + tl.minimum(i, lines - 1).to(tl.int64)[:, None] * dimension + k[None, :]
    y_at = q + tl.minimum(j, rows - 1).to(tl.int64)[:, None] * dimension + k[None, :]
    sums = tl.zeros((LINES, ROWS, COLUMNS), tl.float32)
    for start in range(0, dimension, COLUMNS):
        if WHOLE:
            x, y = tl.load(x_at), tl.load(y_at)
        else:  # beyond the last column: a total of 1, whose logarithm is 0
            inside = (start + k < dimension)[None, :]
            x, y = tl.load(x_at, mask=inside, other=0.5), tl.load(y_at, mask=inside, other=0.5)
        total = x[:, None, :] + y[None, :, :]
        if APPROXIMATE:  # one instruction, right to 2^-22; the plain log2 also takes care of subnormal numbers
            log = tl.inline_asm_elementwise(
                "lg2.approx.ftz.f32 $0, $1;", "=f,f", [total], dtype=tl.float32, is_pure=True, pack=1
            )
        else:
            log = tl.log2(total)
        sums += total * log
        x_at += COLUMNS
        y_at += COLUMNS
    at = i.to(tl.int64)[:, None] * rows + j[None, :]
    tl.store(out + at, tl.sum(sums, axis=2) * factor, mask=(i < lines)[:, None] & (j < rows)[None, :])


def fused_log_sums(p: Tensor, q: Tensor, tile: Tile = TILE) -> Tensor:
    """Return the sums (q, n), float32, of (p+q) ln (p+q).

    Args:
        p: Queries (q, d), float32 above 1e-30, contiguous, on a GPU (or anywhere under Triton's interpreter).
        q: Rows (n, d), likewise.
        tile: The tile of a program; the sums do not depend on it but for rounding.

    Raises:
        InputError: They are not contiguous.
    """
    out = torch.empty((len(p), len(q)), device=p.device)
    launch(
        _kernel,
        triton.cdiv(len(p), tile.lines) * triton.cdiv(len(q), tile.rows),
        p,
        q,
        out,
        len(p),
        len(q),
        p.shape[1],
        math.log(2),
        LINES=tile.lines,
        ROWS=tile.rows,
        COLUMNS=tile.columns,
        WHOLE=p.shape[1] % tile.columns == 0,
        APPROXIMATE=p.device.type == "cuda",
        num_warps=tile.warps,
    )
    return out
