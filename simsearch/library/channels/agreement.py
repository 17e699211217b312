"""How far two channels of a library agree on what is near."""

from __future__ import annotations

import itertools

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
    each = [snapshot.parts(place, channel.name) for place in places]
    plan = SearchPlan(snapshot, channel, k + 1, channel.metric, device=device, exact=True, group_copies=False)
    found = iter(nearest(np.concatenate(each), plan))
    sets = []
    for place, rows in zip(places, each, strict=True):
        near = sorted((one.distance, one.id) for answer in itertools.islice(found, len(rows)) for one in answer.matches)
        ids = [number for number in dict.fromkeys(number for _, number in near) if number != snapshot.id(place)]
        sets.append(set(ids[:k]))
    return sets
