"""The rows and the settings of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simsearch.library.format.channel import Channel
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
