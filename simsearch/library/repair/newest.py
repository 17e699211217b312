"""Which of several items with one id or one path is the newest, where no bitmap says which were removed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.commit import Mask
from simsearch.library.format.segment import Segment


def keep_newest(segments: Sequence[Segment], masks: Sequence[Mask]) -> None:
    """Mark as removed what a later item took the place of: one of the same id, or of the same path.

    Args:
        segments: Oldest first.
        masks: (n,) bool each, True for removed; changed in place.
    """
    if not segments:
        return
    _by_id(segments, masks)
    _by_path(segments, masks)


def _by_id(segments: Sequence[Segment], masks: Sequence[Mask]) -> None:
    live = [np.flatnonzero(~mask) for mask in masks]
    number = np.concatenate([np.full(len(kept), s) for s, kept in enumerate(live)])
    position = np.concatenate(live)
    ids = np.concatenate([segment.ids[kept] for segment, kept in zip(segments, live, strict=True)])
    order = np.lexsort((number, ids))
    older = order[:-1][ids[order][:-1] == ids[order][1:]]
    _remove(masks, number[older], position[older])


def _by_path(segments: Sequence[Segment], masks: Sequence[Mask]) -> None:
    live = [~mask[segment.keys[1].astype(np.intp)] for segment, mask in zip(segments, masks, strict=True)]
    pairs = [segment.keys[:, kept] for segment, kept in zip(segments, live, strict=True)]
    key = np.concatenate([pair[0] for pair in pairs])
    position = np.concatenate([pair[1].astype(np.intp) for pair in pairs])
    number = np.concatenate([np.full(pair.shape[1], s) for s, pair in enumerate(pairs)])
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], key[order][1:] != key[order][:-1]]))
    for group in np.split(order, starts[1:]) if len(starts) < len(order) else []:
        if len(group) > 1:
            _keep_last(segments, masks, number[group], position[group])


def _keep_last(
    segments: Sequence[Segment], masks: Sequence[Mask], number: NDArray[np.intp], position: NDArray[np.intp]
) -> None:
    last: dict[bytes | None, tuple[int, int, int]] = {}  # keys of two paths may be equal
    for s, p in zip(number.tolist(), position.tolist(), strict=True):
        path, item = segments[s].path(p), (int(segments[s].ids[p]), s, p)
        older = min(item, last.get(path, item))
        last[path] = max(item, last.get(path, item))
        if older != last[path]:
            masks[older[1]][older[2]] = True


def _remove(masks: Sequence[Mask], number: NDArray[np.intp], position: NDArray[np.intp]) -> None:
    for s, mask in enumerate(masks):
        mask[position[number == s]] = True
