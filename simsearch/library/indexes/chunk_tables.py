"""Tables of the chunks of a library's codes, by which those within a small distance are found without a look at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from simsearch.library.format.channel import Channel
from simsearch.library.format.snapshot import Snapshot
from simsearch.runtime.files import page_out

if TYPE_CHECKING:
    from simsearch.search.hamming.multi_index import MultiIndex

CHUNKS_FROM = 1 << 17  # codes; a look at fewer takes no longer than the answer to a request
_SHARE = 1 / 64  # of the codes, of which candidates may be counted, one by one, until a look at all in order is faster
_BEHIND = 1 / 8  # share of the codes that came after the tables, from which on they are made anew


@dataclass(frozen=True, slots=True)
class ChunkTables:
    """The tables of the codes of some segments.

    Attributes:
        segments: Their names, in the order of the codes.
        index: The tables.
    """

    segments: tuple[str, ...]
    index: MultiIndex

    @classmethod
    def build(cls, snapshot: Snapshot, channel: Channel) -> Self:
        """Return the tables of all codes of a channel; a copy of the codes is among them.

        What was read of the files for it, and for the checks of opening them, is given back to the kernel.
        """
        from simsearch.search.hamming.multi_index import MultiIndex

        _give_back(snapshot)
        rows = [segment.channels[channel.name].row for segment in snapshot.segments]
        tables = cls(tuple(segment.uuid for segment in snapshot.segments), MultiIndex(np.concatenate(rows)))
        _give_back(snapshot)
        return tables

    def fits(self, snapshot: Snapshot) -> bool:
        """Return whether the snapshot has all of the segments."""
        return snapshot.uuids.keys() >= set(self.segments)

    def is_new(self, snapshot: Snapshot, channel: str) -> bool:
        """Return whether they are of nearly all codes of the snapshot."""
        total = sum(len(segment.channels[channel].row) for segment in snapshot.segments)
        return self.fits(snapshot) and len(self.index) >= (1 - _BEHIND) * total

    def pays(self, radius: int) -> bool:
        """Return whether a search of that many bits is faster by them."""
        return self.index.candidates(radius) <= self.most

    @property
    def most(self) -> int:
        """How many candidates of a query are counted."""
        return int(_SHARE * len(self.index))


def _give_back(snapshot: Snapshot) -> None:
    """Have the kernel take back what was read of a snapshot's files."""
    for segment in snapshot.segments:
        page_out(segment.arrays)
