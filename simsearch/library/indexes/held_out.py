"""The rows of a channel, and the queries among them, held out of training and answers, that measure its index."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.snapshot import Snapshot

ASKED = 1000
"""Queries that choose the parameters of a search; as many others measure its recall."""
SEED = 0
"""Of every index of a library, and so of the rows that it is not trained on."""

Live = Sequence[NDArray[np.bool_] | None]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows, and which of them are the queries.

    Attributes:
        blocks: Of each segment (n_i, d).
        live: Which rows are live, None for all.
        queries: Positions of live rows that no index over the blocks is trained on, unordered.
    """

    blocks: Sequence[NDArray[Any]]
    live: Live
    queries: NDArray[np.int64]

    @classmethod
    def of(cls, snapshot: Snapshot, channel: str) -> HeldOut:
        """Return the rows of a channel."""
        from simsearch.search.indexes.index import held_out
        from simsearch.search.scan.deletion_mask import whole_masks

        blocks = [segment.channels[channel].row for segment in snapshot.segments]
        live = [snapshot.live_rows(s, channel) for s in range(len(blocks))]
        held = held_out(sum(map(len, blocks)), SEED)
        queries = held[np.concatenate([np.zeros(0, bool), *whole_masks(live, blocks)])[held]]
        return cls(blocks, live, queries[: 2 * ASKED])

    @property
    def count(self) -> int:
        """Number of live rows."""
        from simsearch.search.scan.deletion_mask import whole_masks

        return sum(int(np.count_nonzero(mask)) for mask in whole_masks(self.live, self.blocks))

    def apart(self) -> HeldOut:
        """Return a copy with the queries in a block of their own behind the others."""
        starts = np.cumsum([0, *map(len, self.blocks)])
        taken = [self.queries[(self.queries >= a) & (self.queries < b)] - a for a, b in itertools.pairwise(starts)]
        blocks = [np.delete(block, some, axis=0) for block, some in zip(self.blocks, taken, strict=True)]
        live = [None if m is None else np.delete(m, some) for m, some in zip(self.live, taken, strict=True)]
        behind = np.concatenate([block[some] for block, some in zip(self.blocks, taken, strict=True)])
        queries = starts[-1] - len(behind) + np.random.default_rng(SEED).permutation(len(behind))
        return HeldOut([*blocks, behind], [*live, None], queries)
