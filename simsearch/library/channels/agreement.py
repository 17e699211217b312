"""How far two channels of a library agree on what is near."""

from __future__ import annotations

import numpy as np

from simsearch.library.format.channel import Channel
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.neighbours import nearest
from simsearch.library.read.search_plan import SearchPlan

NEAREST = 10
_SAMPLED = 100


def agreement(snapshot: Snapshot, channels: tuple[Channel, Channel], *, device: str) -> tuple[float, int] | None:
    """Return the share of common items among the nearest by either channel, and of how many items it is the mean.

    The items are spread evenly over the library; each has its `NEAREST` others, or all where there are fewer. None
    where no item has another.
    """
    places = [Place(s, int(p)) for s in range(len(snapshot.segments)) for p in snapshot.live(s)]
    k = min(NEAREST, len(places) - 1)
    if k < 1:
        return None
    chosen = places[:: -(-len(places) // _SAMPLED)]
    one, other = (_nearest(snapshot, channel, chosen, k, device) for channel in channels)
    return float(np.mean([len(a & b) / k for a, b in zip(one, other, strict=True)])), len(chosen)


def _nearest(snapshot: Snapshot, channel: Channel, places: list[Place], k: int, device: str) -> list[set[int]]:
    """Return the ids of the k items nearest to each item, without itself."""
    rows = np.stack([row for place in places if (row := snapshot.row(place, channel.name)) is not None])
    plan = SearchPlan(snapshot, channel, k + 1, channel.metric, device=device, exact=True, group_copies=False)
    found = [[match.id for match in one.matches] for one in nearest(rows, plan)]
    own = map(snapshot.id, places)
    return [set([one for one in ids if one != self][:k]) for self, ids in zip(own, found, strict=True)]
