"""The rows of a channel, and those of them that its index is measured by, held out of training and answers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.snapshot import Snapshot

ASKED = 1000
"""Rows that a way of asking is chosen by; as many others tell what it finds."""
SEED = 0
"""Of every index of a library, and so of the rows that it is not trained on."""

Live = Sequence[NDArray[np.bool_] | None]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows, and which of them are asked with.

    Attributes:
        blocks: Of each segment (n_i, d).
        live: Which rows count, None for all.
        asked: Positions of live rows that no index over the blocks is trained on, in no order.
    """

    blocks: Sequence[NDArray[Any]]
    live: Live
    asked: NDArray[np.int64]

    @classmethod
    def of(cls, snapshot: Snapshot, channel: str) -> HeldOut:
        """The rows of a channel."""
        from simsearch.search.indexes.index import held_out
        from simsearch.search.scan.deletion_mask import whole_masks

        blocks = [segment.channels[channel].row for segment in snapshot.segments]
        live = [snapshot.live_rows(s, channel) for s in range(len(blocks))]
        held = held_out(sum(map(len, blocks)), SEED)
        asked = held[np.concatenate([np.zeros(0, bool), *whole_masks(live, blocks)])[held]]
        return cls(blocks, live, asked[: 2 * ASKED])

    @property
    def count(self) -> int:
        """Rows that count."""
        from simsearch.search.scan.deletion_mask import whole_masks

        return sum(int(np.count_nonzero(mask)) for mask in whole_masks(self.live, self.blocks))

    def apart(self) -> HeldOut:
        """The same, copied, with the rows that are asked with in a block of their own behind the others."""
        starts = np.cumsum([0, *map(len, self.blocks)])
        taken = [self.asked[(self.asked >= a) & (self.asked < b)] - a for a, b in itertools.pairwise(starts)]
        blocks = [np.delete(block, some, axis=0) for block, some in zip(self.blocks, taken, strict=True)]
        live = [None if m is None else np.delete(m, some) for m, some in zip(self.live, taken, strict=True)]
        behind = np.concatenate([block[some] for block, some in zip(self.blocks, taken, strict=True)])
        asked = starts[-1] - len(behind) + np.random.default_rng(SEED).permutation(len(behind))
        return HeldOut([*blocks, behind], [*live, None], asked)
