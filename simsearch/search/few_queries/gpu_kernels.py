"""Compiled kernels that score float16 rows for a few queries from the rows as they are stored, on a GPU.

For one query a matrix product costs little, and to convert, map and scale the rows for it costs nearly all. Here rows
are read twice and nothing of their size is written: once for the length of each, once for its score.
"""

from __future__ import annotations

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from simsearch.runtime.triton_launch import kernel, launch

_ROWS, _COLUMNS, _WARPS = 64, 32, 4
_TOGETHER = 4  # queries that a program scores together


@kernel
def _sums(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    rows, out, count, dimension, ROWS: tl.constexpr, COLUMNS: tl.constexpr, SQUARES: tl.constexpr
):
    j = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, COLUMNS)
    at = rows + tl.minimum(j, count - 1).to(tl.int64)[:, None] * dimension + k[None, :]
    sums = tl.zeros((ROWS, COLUMNS), tl.float32)
    least = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(0, dimension, COLUMNS):
        x = tl.load(at, mask=(start + k < dimension)[None, :], other=0.0).to(tl.float32)
        sums += x * x if SQUARES else x
        least = tl.minimum(least, x)
        at += COLUMNS
    total = tl.sum(sums, axis=1)
    if not SQUARES:
        total = tl.where(tl.min(least, axis=1) < 0, float("nan"), total)
    tl.store(out + j, total, mask=j < count)


@kernel
def _scores(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    queries,
    rows,
    sums,
    out,
    lines,
    count,
    dimension,
    LINES: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROOTS: tl.constexpr,
    GAPS: tl.constexpr,
):
    tiles = tl.cdiv(lines, LINES)
    i = (tl.program_id(0) % tiles) * LINES + tl.arange(0, LINES)
    j = (tl.program_id(0) // tiles) * ROWS + tl.arange(0, ROWS)
    k = tl.arange(0, COLUMNS)
    # Beyond the last query or row the last one is computed again, and not written.
    x_at = rows + tl.minimum(j, count - 1).to(tl.int64)[:, None] * dimension + k[None, :]
    y_at = queries + tl.minimum(i, lines - 1).to(tl.int64)[:, None] * dimension + k[None, :]
    added = tl.zeros((LINES, ROWS, COLUMNS), tl.float32)
    for start in range(0, dimension, COLUMNS):
        inside = (start + k < dimension)[None, :]
        x = tl.load(x_at, mask=inside, other=0.0).to(tl.float32)
        y = tl.load(y_at, mask=inside, other=0.0)
        if GAPS:
            gap = x[None, :, :] - y[:, None, :]
            added += gap * gap
        else:
            x = tl.sqrt(x) if ROOTS else x
            added += x[None, :, :] * y[:, None, :]
        x_at += COLUMNS
        y_at += COLUMNS
    total = tl.sum(added, axis=2)
    if not GAPS:
        total = -total / tl.sqrt(tl.load(sums + tl.minimum(j, count - 1)))[None, :]
    tl.store(
        out + i.to(tl.int64)[:, None] * count + j[None, :], total, mask=(i < lines)[:, None] & (j < count)[None, :]
    )


def row_sums(rows: Tensor, *, squares: bool) -> Tensor:
    """Return sums (n,), float32, of float16 rows (n, d): of squares, or of values, NaN where one is negative.

    Raises:
        InputError: The rows are not contiguous.
    """
    out = torch.empty(len(rows), device=rows.device)
    cut = {"ROWS": _ROWS, "COLUMNS": _COLUMNS, "num_warps": _WARPS}
    launch(_sums, triton.cdiv(len(rows), _ROWS), rows, out, len(rows), rows.shape[1], SQUARES=squares, **cut)
    return out


def row_scores(queries: Tensor, rows: Tensor, sums: Tensor, *, roots: bool = False, gaps: bool = False) -> Tensor:
    """Return scores (q, n), float32: squared distances, or minus products over the roots of the rows' sums.

    Args:
        queries: (q, d) float32.
        rows: (n, d) float16.
        sums: Of the rows, by `row_sums`.
        roots: Take the roots of the rows' values.
        gaps: Return squared distances.

    Raises:
        InputError: A tensor is not contiguous.
    """
    out = torch.empty((len(queries), len(rows)), device=rows.device)
    few = 1 if len(queries) == 1 else _TOGETHER
    cut = {"LINES": few, "ROWS": _ROWS, "COLUMNS": _COLUMNS, "num_warps": _WARPS}
    sizes = len(queries), len(rows), rows.shape[1]
    programs = triton.cdiv(len(queries), few) * triton.cdiv(len(rows), _ROWS)
    launch(_scores, programs, queries, rows, sums, out, *sizes, ROOTS=roots, GAPS=gaps, **cut)
    return out
