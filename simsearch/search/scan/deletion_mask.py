"""Deletion masks: which rows are live."""

from __future__ import annotations

from collections.abc import Sequence, Sized

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError


def whole_masks(live: Sequence[NDArray[np.bool_] | None] | None, blocks: Sequence[Sized]) -> list[NDArray[np.bool_]]:
    """Return a mask (n,) of each block, also where None stands for all of its rows."""
    masks = [None] * len(blocks) if live is None else live
    return [np.ones(len(block), bool) if mask is None else mask for block, mask in zip(blocks, masks, strict=True)]


def check_live(live: Sequence[NDArray[np.bool_] | None] | None, blocks: Sequence[Sized]) -> None:
    """Require a mask of booleans, or None, for each block, and in a mask an entry for each row.

    Raises:
        InputError: They do not fit.
    """
    if live is None:
        return
    for i, mask in enumerate(live):
        if mask is not None and (not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 1):
            kind = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise InputError(f"live mask {i} is {kind} and must be an array of booleans (n,), one for each row")
    lengths = [None if mask is None else len(mask) for mask in live]
    if len(live) != len(blocks) or any(n not in (None, len(b)) for n, b in zip(lengths, blocks, strict=True)):
        raise InputError(f"live masks of lengths {lengths} do not fit blocks of {[len(b) for b in blocks]} rows")
