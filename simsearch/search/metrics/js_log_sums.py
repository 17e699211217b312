"""Sums of (p+q) ln (p+q), the one logarithm of an exact js: by numpy on a CPU, by Triton or torch on a GPU."""

from __future__ import annotations

import importlib.util

import numpy as np
import torch
from torch import Tensor

from simsearch.runtime.tiles import each_tile

_GPU_CELLS = 1 << 24


def log_sums(p: Tensor, q: Tensor) -> Tensor:
    """Return the sums (q, n), float32, of (p+q) ln (p+q).

    Every way sums in at least eight lanes, so that the rounding is bounded by d/8 + 16 units.

    Args:
        p: Queries (q, d), float32 above 1e-30, contiguous.
        q: Rows (n, d), likewise.
    """
    if p.device.type == "cpu":
        return _on_cpu(p, q)
    if importlib.util.find_spec("triton") is not None:
        from simsearch.search.metrics.js_triton import fused_log_sums

        return fused_log_sums(p, q)
    return _by_torch(p, q)


def _on_cpu(p: Tensor, q: Tensor) -> Tensor:
    """Return the sums by numpy, a tile of rows after the other."""
    lines, rows = p.numpy(), q.numpy()
    out = np.empty((len(lines), len(rows)), np.float32)

    def tile(part: slice) -> None:
        total, log = np.empty_like(rows[part]), np.empty_like(rows[part])
        for i, line in enumerate(lines):
            np.add(line, rows[part], out=total)
            np.log(total, out=log)
            np.vecdot(total, log, out=out[i, part])

    each_tile(tile, rows)
    return torch.from_numpy(out)


def _by_torch(p: Tensor, q: Tensor) -> Tensor:
    """Return the sums by torch, tile by tile; the oracle of the compiled kernel."""
    columns = max(1, min(len(q), _GPU_CELLS // p.shape[1]))
    lines = max(1, min(len(p), _GPU_CELLS // (columns * p.shape[1])))
    totals, logs = (torch.empty((lines, columns, p.shape[1]), device=p.device) for _ in range(2))
    out = torch.empty((len(p), len(q)), device=p.device)
    for i in range(0, len(p), lines):
        for j in range(0, len(q), columns):
            x, y = p[i : i + lines, None, :], q[None, j : j + columns, :]
            total = torch.add(x, y, out=totals[: x.shape[0], : y.shape[1]])
            log = torch.log(total, out=logs[: x.shape[0], : y.shape[1]])
            out[i : i + lines, j : j + columns] = torch.linalg.vecdot(total, log)
    return out
