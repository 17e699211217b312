"""From rows to the items nearest to them in a snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed, InputError, RowError
from simsearch.images.source import as_text
from simsearch.library.channel import ASYMMETRIC, Channel
from simsearch.library.copies import Hit, Near, grouped, grouped_all
from simsearch.library.damage import naming_damage
from simsearch.library.items import numbers as as_numbers
from simsearch.library.matches import Copy, Match, Recall
from simsearch.library.snapshot import Place, Snapshot

if TYPE_CHECKING:
    from simsearch.library.resident import Ready, Resident
    from simsearch.search.exact import Neighbours
    from simsearch.search.scan import Live


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What is searched, and how.

    Attributes:
        snapshot: The commit.
        channel: Whose rows.
        k: Matches a query; 0 for all within the distance.
        metric: The distance.
        max_distance: What is farther is left out.
        device: Where.
        exact: Look at every row, also where there is an index.
        resident: What is kept open between searches; None for a search without indexes.
        group_copies: Items with the same content are one match.
        min_quality: Items that are known to be of lower quality are left out.
        hidden: Items that are left out.
        spare: Further matches that are looked for, some of which may be left out later.
    """

    snapshot: Snapshot
    channel: Channel
    k: int
    metric: str
    max_distance: float | None = None
    device: str = "auto"
    exact: bool = False
    resident: Resident | None = None
    group_copies: bool = False
    min_quality: int = 0
    hidden: tuple[Place, ...] = ()
    spare: int = 0

    @property
    def asked(self) -> Channel:
        """What the rows of queries are."""
        return self.channel.asked(self.metric)


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest items of one row.

    Attributes:
        matches: Nearest first.
        certified: Whether it is proved that no other is nearer.
        recall: Of the index that was asked, if one was.
    """

    matches: tuple[Match, ...]
    certified: bool = True
    recall: Recall | None = None


def nearest(rows: NDArray[Any], plan: SearchPlan) -> list[Found]:
    """Return the nearest live items of each of the rows (q, d), nearest first, ties to the lower id.

    Raises:
        LibraryDamaged: a stored row was damaged; it is named.
    """
    with naming_damage(plan.snapshot, plan.channel):
        return [_found(plan.snapshot, near) for near in _asked(rows, plan)]


def _asked(rows: NDArray[Any], plan: SearchPlan) -> list[Near]:
    snapshot, name = plan.snapshot, plan.channel.name
    if plan.k == 0:
        within = _all_within(rows, plan)
        return grouped_all(snapshot, name, within) if plan.group_copies else within
    if not plan.group_copies:
        return _nearest(rows, plan)

    def search(lines: Sequence[int], count: int, hidden: Sequence[Place]) -> list[Near]:
        return _nearest(rows[list(lines)], replace(plan, spare=count - plan.k, hidden=tuple(hidden)))

    return grouped(snapshot, name, count=len(rows), k=plan.k + plan.spare, search=search)


def _nearest(rows: NDArray[Any], plan: SearchPlan) -> list[Near]:
    snapshot, name = plan.snapshot, plan.channel.name
    total = sum(len(segment.channels[name].row) for segment in snapshot.segments)
    if not len(rows) or not total:
        return [Near()] * len(rows)
    parts = max(segment.channels[name].parts for segment in snapshot.segments)
    most = min((plan.k + plan.spare) * parts, total)
    resident = None if plan.exact else plan.resident
    while resident is not None and (ready := resident.index(snapshot, name, plan.metric)) is not None:
        try:
            found = _by_index(rows, plan, ready, most, told=min(plan.k * parts, most))
        except IndexFailed as error:
            resident.failed(ready, error)  # which has another one for us, or none
            continue
        if found is None:
            break
        return found
    return _exactly(rows, plan, most)


def _found(snapshot: Snapshot, near: Near) -> Found:
    copies = near.copies or ((),) * len(near.hits)
    matches = [
        Match(hit.id, *_named_item(snapshot, hit.place, hit.id), hit.distance, copies=_copies(snapshot, others))
        for hit, others in zip(near.hits, copies, strict=True)
    ]
    return Found(tuple(matches), near.certified, near.recall)


def _copies(snapshot: Snapshot, places: Sequence[Place]) -> tuple[Copy, ...]:
    ids = [snapshot.id(place) for place in places]
    return tuple(Copy(i, *_named_item(snapshot, place, i)) for i, place in zip(ids, places, strict=True))


def _named_item(snapshot: Snapshot, place: Place, number: int) -> tuple[str, str | None]:
    path = snapshot.path(place)
    return (f"id:{number}", None) if path is None else as_text(path)


def _exactly(rows: NDArray[Any], plan: SearchPlan, most: int) -> list[Near]:
    from simsearch.search.exact import knn

    snapshot, name = plan.snapshot, plan.channel.name
    numbers = range(len(snapshot.segments))
    if plan.metric == ASYMMETRIC:
        return _by_margins(rows, plan, most)
    if plan.resident is None:
        blocks: list[Any] = [segment.channels[name].row for segment in snapshot.segments]
    else:
        blocks = plan.resident.blocks(snapshot, name)
    live = _live(plan, numbers)
    found = knn(
        rows,
        blocks,
        k=most,
        metric=plan.metric,
        live=live,
        max_distance=plan.max_distance,
        device=plan.device,
        bits=plan.channel.bits,
    )
    return _named(plan, numbers, found, None)


def _all_within(rows: NDArray[Any], plan: SearchPlan) -> list[Near]:
    """Every item within the distance, exactly."""
    from simsearch.search.ranges import within

    if plan.max_distance is None or plan.metric == ASYMMETRIC:
        raise InputError("k is None, which asks for all within a max_distance, by no asymmetric metric: give k or that")
    name, numbers = plan.channel.name, range(len(plan.snapshot.segments))
    layout = _layout(plan, numbers)
    if not len(rows) or not layout[0][-1]:
        return [Near()] * len(rows)
    found = within(
        rows,
        [segment.channels[name].row for segment in plan.snapshot.segments],
        max_distance=plan.max_distance,
        metric=plan.metric,
        live=_live(plan, numbers),
        device=plan.device,
        bits=plan.channel.bits,
    )
    parts = [slice(*ends) for ends in zip(found.starts[:-1], found.starts[1:], strict=True)]
    return [Near(_hits(plan.snapshot, name, layout, found.distances[i], found.positions[i])) for i in parts]


def _by_margins(rows: NDArray[Any], plan: SearchPlan, most: int) -> list[Near]:
    from simsearch.search.asymmetric import nearest_by_margins

    numbers = range(len(plan.snapshot.segments))
    blocks = [segment.channels[plan.channel.name].row for segment in plan.snapshot.segments]
    found = nearest_by_margins(rows, blocks, k=most, live=_live(plan, numbers), max_distance=plan.max_distance)
    return _named(plan, numbers, found, None)


def _by_index(rows: NDArray[Any], plan: SearchPlan, ready: Ready, most: int, *, told: int) -> list[Near] | None:
    """Ask an index, and search exactly what it does not cover; None where exact search is the better way.

    Args:
        rows: The queries.
        plan: What is searched.
        ready: The index.
        most: Rows that are looked for.
        told: Neighbours whose recall is told.
    """
    from simsearch.library.asking import asking
    from simsearch.search.approximate import approximate
    from simsearch.search.exact import CodeScale

    snapshot, name = plan.snapshot, plan.channel.name
    covered = [snapshot.uuids[uuid] for uuid in ready.record.segments]
    numbers = [*covered, *(s for s in range(len(snapshot.segments)) if s not in set(covered))]
    live, bits = _live(plan, numbers), plan.channel.bits
    gone = sum(int(np.count_nonzero(~mask)) for mask in live[: len(covered)] if mask is not None)
    left = ready.record.rows - gone
    way = asking(ready.record, ready.index.efforts(), k=told, rows=most, live=left)
    if way is None or way.depth > ready.index.most:  # a GPU names no more
        return None
    scale = None if bits is None else CodeScale.of(rows, plan.metric, bits)
    limit = plan.max_distance
    found = approximate(
        rows,
        [snapshot.segments[s].channels[name].row for s in numbers],
        ready.index,
        k=most,
        effort=way.effort,
        depth=way.depth,
        live=live,
        max_distance=limit if scale is None or limit is None else scale.padded(limit),
    )
    if scale is not None:
        found = replace(found, distances=scale.true(found.distances))
    return _named(plan, numbers, found, way.recall)


def _live(plan: SearchPlan, numbers: Sequence[int]) -> Live:
    """Which rows of the segments count: those of live items that are neither hidden nor of too low a quality."""
    masks: list[NDArray[np.bool_] | None] = []
    for s in numbers:
        mask = plan.snapshot.live_rows(s, plan.channel.name)
        item = plan.snapshot.segments[s].channels[plan.channel.name].item
        hidden = [place.position for place in plan.hidden if place.segment == s]
        if plan.min_quality > 0:
            quality = as_numbers(plan.snapshot.segments[s].items.column("quality"))
            hidden += np.flatnonzero((quality >= 0) & (quality < plan.min_quality)).tolist()
        if hidden:
            kept = ~np.isin(item, np.asarray(hidden, item.dtype))
            mask = kept if mask is None else mask & kept
        masks.append(mask)
    return masks


def _named(plan: SearchPlan, numbers: Sequence[int], found: Neighbours, recall: Recall | None) -> list[Near]:
    """The items of positions in the rows of these segments, one behind the other."""
    name, layout = plan.channel.name, _layout(plan, numbers)
    return [
        Near(_hits(plan.snapshot, name, layout, distances, positions)[: plan.k + plan.spare], bool(certified), recall)
        for distances, positions, certified in zip(found.distances, found.positions, found.certified, strict=True)
    ]


def _layout(plan: SearchPlan, numbers: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the rows of each of these segments begin, one behind the other, and where the last end."""
    lengths = [len(plan.snapshot.segments[s].channels[plan.channel.name].row) for s in numbers]
    return np.cumsum([0, *lengths]), np.asarray(numbers)


def _hits(
    snapshot: Snapshot,
    channel: str,
    layout: tuple[NDArray[np.intp], NDArray[np.intp]],
    distances: NDArray[np.float32],
    positions: NDArray[np.int64],
) -> tuple[Hit, ...]:
    """The items of row positions, each once, at its nearest part."""
    starts, numbers = layout
    count = int((positions >= 0).sum())  # the others stand behind
    blocks = np.searchsorted(starts, positions[:count], side="right") - 1
    within, segments = (positions[:count] - starts[blocks]).tolist(), numbers[blocks].tolist()
    best: dict[Place, Hit] = {}
    for distance, s, row in zip(distances[:count].tolist(), segments, within, strict=True):
        place = Place(s, int(snapshot.segments[s].channels[channel].item[row]))
        if place not in best:
            best[place] = Hit(distance, snapshot.id(place), place)
    return tuple(sorted(best.values()))


def checked_rows(rows: NDArray[Any], channel: Channel, metric: str) -> NDArray[Any]:
    """Return query rows in the dtype of the channel that they are of: (q, d).

    Raises:
        RowError: a row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
        MetricError: the metric is not defined on these rows.
    """
    from simsearch.distance import check_rows

    rows = np.asarray(rows)
    rows = rows[None] if rows.ndim == 1 else rows
    if channel.numpy_dtype == np.uint8 and rows.dtype != np.uint8:
        raise RowError(f"rows are {rows.dtype}; channel {channel.name!r} holds uint8")
    known = None if metric == ASYMMETRIC else metric
    check_rows(rows, dimension=channel.dimension, metric=known, what="row")
    rounded = np.array(channel.round(rows))
    check_rows(rounded, dimension=channel.dimension, metric=known, what=f"row (as {channel.dtype})")
    return rounded
