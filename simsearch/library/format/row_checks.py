"""Checks of stored rows: invalid ones were damaged since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import LibraryDamaged, MetricError, RowError
from simsearch.images.source import printable
from simsearch.library.format.channel import Channel
from simsearch.library.format.commit import Mask
from simsearch.library.format.segment import Segment
from simsearch.library.format.snapshot import Snapshot

_ROWS_AT_ONCE = 1 << 16


def bad_row(segment: Segment, channel: Channel, mask: Mask | None = None) -> str | None:
    """Return the first invalid row of a segment, and why it is; None for none.

    Args:
        segment: Whose rows.
        channel: Which of them.
        mask: The rows to check (r,); all by default.
    """
    rows = segment.channels[channel.name]
    if rows.row.dtype.kind != "f":  # every code is valid
        return None
    for start in range(0, len(rows.row), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        for bad, what in _bad(rows.row[part], non_negative=channel.non_negative):
            counted = bad if mask is None else bad & mask[part]
            if counted.any():
                item = int(rows.item[start + int(counted.argmax())])
                return f"{segment.folder / channel.name}.arrow is damaged: the row of {_named(segment, item)} {what}"
    return None


def _bad(rows: NDArray[Any], *, non_negative: bool) -> Iterator[tuple[Any, str]]:
    yield ~np.isfinite(rows).all(axis=1), "holds NaN or infinity"
    yield ~rows.any(axis=1), "is all zeros"
    if non_negative:
        yield (rows < 0).any(axis=1), "has a negative value, and its model makes none"


def _named(segment: Segment, item: int) -> str:
    path = segment.path(item)
    number = f"id:{segment.ids[item]}" if len(segment.ids) else f"item {item}"
    return number if path is None else f"{number} ({printable(path)})"


@contextmanager
def naming_damage(snapshot: Snapshot, channel: Channel, *, removed: bool = False) -> Iterator[None]:
    """Turn the refusal of a stored row into `LibraryDamaged`; queries were checked before.

    Args:
        snapshot: What is searched, or indexed.
        channel: Whose rows.
        removed: Whether rows of removed items are checked as well.

    Raises:
        LibraryDamaged: A row is not finite, all zeros, or negative where its model declares none.
    """
    try:
        yield
    except (RowError, MetricError):
        for s, segment in enumerate(snapshot.segments):
            mask = None if removed else snapshot.live_rows(s, channel.name)
            if wrong := bad_row(segment, channel, mask):
                raise LibraryDamaged(f"{wrong}; run `simsearch verify --deep`") from None
        raise
