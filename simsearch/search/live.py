"""Masks of the rows that count."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from simsearch.errors import InputError


def check_live(live: Sequence[Sized | None] | None, blocks: Sequence[Sized]) -> None:
    """Require a mask, or None, for each block, and in a mask an entry for each row.

    Raises:
        InputError: They do not fit.
    """
    if live is None:
        return
    lengths = [None if mask is None else len(mask) for mask in live]
    if len(live) != len(blocks) or any(n not in (None, len(b)) for n, b in zip(lengths, blocks, strict=True)):
        raise InputError(f"live masks of lengths {lengths} do not fit blocks of {[len(b) for b in blocks]} rows")
