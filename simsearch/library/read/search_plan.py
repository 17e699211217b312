"""The rows and the settings of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsearch.library.format.channel import Channel
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.search.arguments import Order

if TYPE_CHECKING:
    from simsearch.library.read.open_indexes import OpenIndexes


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The rows and the settings of a search.

    Attributes:
        snapshot: The commit.
        channel: Whose rows.
        k: Matches a query; 0 for all within the distance.
        metric: The distance.
        max_distance: Of a match.
        device: Of the search.
        exact: Search every row, also where there is an index.
        resident: Indexes and rows that stay open; None for a search without indexes.
        group_copies: Items with the same content are one match.
        min_quality: Items that are known to be of lower quality are left out.
        hidden: Items that are left out.
        spare: Further matches that are searched, some of which may be left out later.
        order: Of an index's candidates; None for the one it was measured with.
    """

    snapshot: Snapshot
    channel: Channel
    k: int
    metric: str
    max_distance: float | None = None
    device: str = "auto"
    exact: bool = False
    resident: OpenIndexes | None = None
    group_copies: bool = False
    min_quality: int = 0
    hidden: tuple[Place, ...] = ()
    spare: int = 0
    order: Order | None = None

    @property
    def asked(self) -> Channel:
        """The channel of query rows."""
        return self.channel.asked(self.metric)

    def live_rows(self, segment: int) -> NDArray[np.bool_] | None:
        """Return which rows of a segment, (r,), are of items that may be found; None for all."""
        mask, held = self.snapshot.live_rows(segment, self.channel.name), self.snapshot.segments[segment]
        item = held.channels[self.channel.name].item
        hidden = [place.position for place in self.hidden if place.segment == segment]
        if self.min_quality > 0:
            quality = numbers(held.items.column("quality"))
            hidden += np.flatnonzero((quality >= 0) & (quality < self.min_quality)).tolist()
        if not hidden:
            return mask
        kept = ~np.isin(item, np.asarray(hidden, item.dtype))
        return kept if mask is None else mask & kept
