"""Which of several items with one id or one path is the newest, where no bitmap says which were removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.commit import Mask
from simsearch.library.format.segment import Segment


def keep_newest(segments: Sequence[Segment], masks: Sequence[Mask]) -> None:
    """Mark as removed every item that a later one of the same id or path replaced.

    Args:
        segments: Oldest first.
        masks: (n,) bool each, True for removed; changed in place.
    """
    if segments:
        live = [np.flatnonzero(~mask) for mask in masks]
        ids = [segment.ids[kept] for segment, kept in zip(segments, live, strict=True)]
        _keep_last(segments, masks, ids, live, lambda _segment, _position: None)
        pairs = [s.keys[:, ~mask[s.keys[1].astype(np.intp)]] for s, mask in zip(segments, masks, strict=True)]
        _keep_last(segments, masks, [pair[0] for pair in pairs], [pair[1] for pair in pairs], Segment.path)


def _keep_last(
    segments: Sequence[Segment],
    masks: Sequence[Mask],
    keys: Sequence[NDArray[Any]],
    positions: Sequence[NDArray[Any]],
    name: Callable[[Segment, int], bytes | None],
) -> None:
    """Mark all items but the last of those whose keys (m,) and names are the same."""
    number = np.repeat(np.arange(len(keys)), [len(some) for some in keys])
    key, position = np.concatenate(keys), np.concatenate(positions)
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], key[order][1:] != key[order][:-1]]))
    for group in np.split(order, starts[1:]) if len(starts) < len(order) else []:
        last: dict[bytes | None, tuple[int, int, int]] = {}  # two paths may share a key
        for s, p in zip(number[group].tolist(), position[group].tolist(), strict=True) if len(group) > 1 else ():
            path, item = name(segments[s], p), (int(segments[s].ids[p]), s, p)
            older = min(item, last.get(path, item))
            last[path] = max(item, last.get(path, item))
            if older != last[path]:
                masks[older[1]][older[2]] = True
