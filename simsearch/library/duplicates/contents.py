"""The contents of a library: the files with the same bytes are one, and what shows too little is not compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simsearch.images.quality import TEXT_PAGE
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place, Snapshot

Numbers = NDArray[np.int64]
Masks = list[NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Contents:
    """The items of a snapshot by content; items are numbered through all segments.

    Attributes:
        snapshot: The commit.
        copies: Items whose content others have too (m,), those of one content side by side.
        ends: Where each content's items end in `copies`, ascending (c,).
        compared: Of each segment, the items that are compared: the first of each content, of enough quality.
        weak: Contents that show too little to be compared: blank pictures, and pages of text.
    """

    snapshot: Snapshot
    copies: Numbers
    ends: Numbers
    compared: Masks
    weak: int

    @classmethod
    def of(cls, snapshot: Snapshot, *, floor: int = TEXT_PAGE) -> Contents:
        """Build from all live items; memory grows by 16 bytes an item.

        Args:
            snapshot: Of the library.
            floor: Quality up to which a picture is not compared, since it shows too little.
        """
        starts = _starts(snapshot)
        firsts, kept = [], []
        for s, segment in enumerate(snapshot.segments):
            keys, positions = segment.contents
            mask = snapshot.removed[s]
            live = slice(None) if mask is None else ~mask[positions.astype(np.intp)]
            firsts.append(keys[live])
            kept.append(positions[live].astype(np.int64) + starts[s])
        keys = np.concatenate([np.empty(0, np.uint64), *firsts])
        items = np.concatenate([np.empty(0, np.int64), *kept])
        order = np.argsort(keys, kind="stable")
        keys, items = keys[order], items[order]
        same = keys[1:] == keys[:-1]
        shared = np.zeros(len(keys), bool)
        shared[1:] |= same
        shared[:-1] |= same
        copies, ends = _exactly(snapshot, starts, items[shared])
        compared = [_live(snapshot, s) for s in range(len(snapshot.segments))]
        leads = np.r_[0, ends[:-1]].astype(np.int64)[: len(ends)]
        for number in np.delete(copies, leads).tolist():
            s = int(np.searchsorted(starts, number, side="right")) - 1
            compared[s][number - starts[s]] = False
        weak = 0
        for s, segment in enumerate(snapshot.segments):
            quality = numbers(segment.items.column("quality"))
            low = compared[s] & (quality >= 0) & (quality <= floor)
            weak += int(low.sum())
            compared[s] &= ~low
        return cls(snapshot, copies, ends, compared, weak)

    @cached_property
    def starts(self) -> Numbers:
        """The number of the first item of each segment, and of all items: (segments + 1,)."""
        return _starts(self.snapshot)

    @cached_property
    def count(self) -> int:
        """How many are compared."""
        return sum(int(mask.sum()) for mask in self.compared)

    def groups(self) -> list[Numbers]:
        """Return the items of each content that several have, ascending."""
        return np.split(self.copies, self.ends[:-1]) if len(self.ends) else []

    def place(self, number: int) -> Place:
        """Return the place of an item."""
        s = int(np.searchsorted(self.starts, number, side="right")) - 1
        return Place(s, int(number - self.starts[s]))

    def content(self, number: int) -> bytes | None:
        """Return the SHA-256 of an item, None where it is not known."""
        s, position = self.place(number)
        content = self.snapshot.segments[s].sha256[position].tobytes()
        return content if any(content) else None

    def items_of(self, contents: list[bytes]) -> list[list[int]]:
        """Return the numbers of the items that have each SHA-256."""
        found = self.snapshot.by_contents(contents)
        return [[int(self.starts[place.segment]) + place.position for place in places] for places in found]

    def live_rows(self, channel: Channel) -> Masks:
        """Return which rows of a channel are compared, for each segment."""
        pairs = zip(self.compared, self.snapshot.segments, strict=True)
        return [mask[segment.channels[channel.name].item] for mask, segment in pairs]

    def row_count(self, channel: Channel) -> int:
        """Return how many rows of a channel are compared."""
        if not self.snapshot.has_parts(channel.name):
            return self.count
        return sum(int(mask.sum()) for mask in self.live_rows(channel))

    def items_of_rows(self, channel: Channel) -> Numbers:
        """Return the number of the item of each row of a channel, in the order of segments."""
        rows = [
            segment.channels[channel.name].item.astype(np.int64) + start
            for segment, start in zip(self.snapshot.segments, self.starts, strict=False)
        ]
        return np.concatenate([np.empty(0, np.int64), *rows])


def _starts(snapshot: Snapshot) -> Numbers:
    return np.cumsum([0, *map(len, snapshot.segments)])


def _live(snapshot: Snapshot, segment: int) -> NDArray[np.bool_]:
    mask = snapshot.removed[segment]
    return np.ones(len(snapshot.segments[segment]), bool) if mask is None else ~mask


def _exactly(snapshot: Snapshot, starts: Numbers, items: Numbers) -> tuple[Numbers, Numbers]:
    """Return the items that share their whole SHA-256 with others, by it, and where each content's end."""
    s = np.searchsorted(starts, items, side="right") - 1
    whole = np.empty((len(items), 32), np.uint8)
    for segment in np.unique(s).tolist():
        here = s == segment
        whole[here] = snapshot.segments[segment].sha256[items[here] - starts[segment]]
    words = np.ascontiguousarray(whole).view(">u8")
    order = np.lexsort((items, *words.T[::-1]))
    items, words = items[order], words[order]
    new = np.ones(len(items), bool)
    new[1:] = (words[1:] != words[:-1]).any(axis=1)
    run = np.cumsum(new) - 1
    several = np.bincount(run, minlength=1)[run] > 1 if len(run) else np.zeros(0, bool)
    items, run = items[several], run[several]
    ends = np.flatnonzero(np.r_[run[1:] != run[:-1], True]) + 1 if len(run) else np.empty(0, np.int64)
    return items, ends.astype(np.int64)
