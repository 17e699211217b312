"""Blocks of rows in the form of the compiled passes over chosen rows, where compiling pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsearch.runtime.kernel_cache import pays_by_now

if TYPE_CHECKING:
    from simsearch.search.refine.compiled_pairs import PairKernels
    from simsearch.search.scan.blocks import Block, Scan

_METRICS = ("js", "cosine", "l1", "l2")
# In the machine's order of bytes
_KINDS: dict[Any, str] = {np.dtype(kind): kind for kind in ("float16", "float32", "float64", "uint8")}
_WORTH = 1 << 26  # coordinates that take torch as long as compiling takes


class StoredBlock(NamedTuple):
    """A block for compiled passes.

    Attributes:
        base: The position of its first row.
        rows: (n, d), never written to; float16 as int16.
        passes: For its type and the scan's metric.
    """

    base: int
    rows: NDArray[Any]
    passes: PairKernels


def expect(metric: str, kind: str) -> None:
    """Have the next pass over rows of a type compile its kernels."""
    _pays(_WORTH, metric, kind)


def stored_blocks(scan: Scan, pairs: int) -> list[StoredBlock] | None:
    """Return the scan's blocks for compiled passes over so many rows; None where torch must do it, or is faster."""
    if scan.device.type != "cpu" or scan.metric not in _METRICS or not all(map(fits, scan.blocks)):
        return None
    kinds = {_KINDS[block.dtype] for block in scan.blocks if len(block)}
    paid = [_pays(pairs * scan.dimension, scan.metric, kind) for kind in kinds]
    if not all(paid):
        return None
    from simsearch.search.refine.compiled_pairs import kernels

    found, base = [], 0
    for block in scan.blocks:
        if len(block):
            found.append(StoredBlock(base, as_stored(block), kernels(scan.metric, _KINDS[block.dtype])))
        base += len(block)
    return found


def _pays(coordinates: int, metric: str, kind: str) -> bool:
    return pays_by_now(coordinates, _WORTH, "measure", metric, kind)


def safe_in_single(stored: Sequence[StoredBlock]) -> bool:
    """Return whether neither squares nor sums of these rows overflow float32."""
    return all(block.rows.itemsize <= 2 for block in stored)


def fits(block: Block) -> bool:
    """Return whether compiled passes can take such a block."""
    return isinstance(block, np.ndarray) and block.dtype in _KINDS and block.flags.c_contiguous


def as_stored(block: Any) -> NDArray[Any]:
    """Return a block in the form of compiled passes."""
    view: NDArray[Any] = np.asarray(block).view(np.int16 if block.dtype == np.float16 else block.dtype)
    view.flags.writeable = False  # one type for all, so that nothing is compiled twice
    return view
