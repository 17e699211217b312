"""The nearest items of rows in a snapshot."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import IndexFailed, InputError, RowError
from simsearch.images.source import as_text
from simsearch.library.format.channel import ASYMMETRIC, Channel
from simsearch.library.format.row_checks import naming_damage
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.indexes.curve import Recall
from simsearch.library.read.group_copies import RowHits, SearchHit, grouped, grouped_all
from simsearch.library.read.id_order import RowRange, rising, whole
from simsearch.library.read.matches import Copy, Match, QueryMatches
from simsearch.library.read.search_plan import SearchPlan
from simsearch.runtime.device import type_of
from simsearch.search.arguments import Order
from simsearch.spatial.witness import PLACES

if TYPE_CHECKING:
    from simsearch.library.read.open_indexes import OpenIndex
    from simsearch.search.results import Neighbours
    from simsearch.search.scan.blocks import Live


def nearest(rows: NDArray[Any], plan: SearchPlan) -> list[QueryMatches]:
    """Return the nearest live items of each of the rows (q, d), nearest first, ties to the lower id.

    Raises:
        LibraryDamaged: A stored row was damaged; it is named.
    """
    if plan.resident is not None:
        plan = replace(plan, device=plan.resident.device(len(rows)))
    with naming_damage(plan.snapshot, plan.channel):
        return [_found(plan.snapshot, near) for near in _asked(rows, plan)]


def _asked(rows: NDArray[Any], plan: SearchPlan) -> list[RowHits]:
    snapshot, name = plan.snapshot, plan.channel.name
    if plan.k == 0 and plan.metric == PLACES:
        raise InputError(f"k is None, which asks for all within a distance, and {name} has none: give k")
    if plan.k == 0:
        within = _all_within(rows, plan)
        return grouped_all(snapshot, name, within, least=plan.min_quality) if plan.group_copies else within
    if not plan.group_copies:
        return _nearest(rows, plan)

    def search(lines: Sequence[int], count: int, hidden: Sequence[Place]) -> list[RowHits]:
        return _nearest(rows[list(lines)], replace(plan, spare=count - plan.k, hidden=tuple(hidden)))

    limit = plan.k + plan.spare
    return grouped(snapshot, name, count=len(rows), k=limit, search=search, least=plan.min_quality)


def _nearest(rows: NDArray[Any], plan: SearchPlan) -> list[RowHits]:
    snapshot, name = plan.snapshot, plan.channel.name
    total = sum(len(segment.channels[name].row) for segment in snapshot.segments)
    if not len(rows) or not total:
        return [RowHits()] * len(rows)
    if plan.metric == PLACES:
        from simsearch.library.read.by_places import by_places

        return by_places(rows, plan, plan.k + plan.spare)
    if (hits := _by_chunks(rows, plan)) is not None:
        return [replace(near, hits=near.hits[: plan.k + plan.spare]) for near in hits]
    parts = max(segment.channels[name].parts for segment in snapshot.segments)
    count = min((plan.k + plan.spare) * parts, total)
    resident = None if plan.exact else plan.resident
    while resident is not None and (ready := resident.index(snapshot, name, plan.metric, plan.device)) is not None:
        try:
            found = _by_index(rows, plan, ready, count, recall_k=min(plan.k * parts, count))
        except IndexFailed as error:
            resident.failed(ready, error)  # which has another index, or none
            continue
        if found is None:
            break
        return found
    return _exactly(rows, plan, count)


def _found(snapshot: Snapshot, near: RowHits) -> QueryMatches:
    def named(place: Place) -> tuple[int, str, str | None]:
        number, path = snapshot.id(place), snapshot.path(place)
        return number, *((f"id:{number}", None) if path is None else as_text(path))

    def content(hit: SearchHit) -> str | None:
        found = snapshot.segments[hit.place.segment].content(hit.place.position)
        return None if found is None else found.hex()

    copies = near.copies or ((),) * len(near.hits)
    matches = [
        Match(
            *named(hit.place), hit.distance, copies=tuple(Copy(*named(other)) for other in others), sha256=content(hit)
        )
        for hit, others in zip(near.hits, copies, strict=True)
    ]
    return QueryMatches(None, tuple(matches), near.certified, recall=near.recall, order=near.order)


def _exactly(rows: NDArray[Any], plan: SearchPlan, count: int, numbers: Sequence[int] | None = None) -> list[RowHits]:
    """Return the nearest items of some segments, by default all: ties among rows go by position, and so by id."""
    numbers = range(len(plan.snapshot.segments)) if numbers is None else numbers
    search = _by_margins if plan.metric == ASYMMETRIC else _by_distance
    lists = rising(plan.snapshot, plan.channel.name, numbers)
    return _joined([search(rows, plan, count, stretches) for stretches in lists], len(rows), plan)


def _joined(answers: Sequence[list[RowHits]], count: int, plan: SearchPlan) -> list[RowHits]:
    """Return the nearest of several results for each row."""
    if len(answers) == 1:
        return answers[0]
    joined = []
    for i in range(count):
        nears = [answer[i] for answer in answers]
        hits = sorted(hit for near in nears for hit in near.hits)[: plan.k + plan.spare]
        recall = next((near.recall for near in nears if near.recall is not None), None)
        order: Order = "exact" if all(near.order == "exact" for near in nears) else "float32"
        joined.append(RowHits(tuple(hits), all(near.certified for near in nears), recall, order))
    return joined


def _by_distance(rows: NDArray[Any], plan: SearchPlan, count: int, stretches: Sequence[RowRange]) -> list[RowHits]:
    from simsearch.search.exact import knn

    found = knn(
        rows,
        _blocks(plan, stretches, resident=True),
        k=count,
        metric=plan.metric,
        live=_live(plan, stretches),
        max_distance=plan.max_distance,
        device=plan.device,
        bits=plan.channel.bits,
        rounded=True,
    )
    return _named(plan, stretches, found, None)


def _blocks(plan: SearchPlan, stretches: Sequence[RowRange], *, resident: bool = False) -> list[Any]:
    """Return the rows of stretches, memory-mapped or resident on a device."""
    snapshot, name = plan.snapshot, plan.channel.name
    if resident and plan.resident is not None:
        rows = plan.resident.blocks(snapshot, name, plan.device)
    else:
        rows = [segment.channels[name].row for segment in snapshot.segments]
    return [rows[s] if end - first == len(rows[s]) else rows[s][first:end] for s, first, end in stretches]


def _all_within(rows: NDArray[Any], plan: SearchPlan) -> list[RowHits]:
    """Return every item within the distance, exactly."""
    if plan.max_distance is None or plan.metric == ASYMMETRIC:
        raise InputError("k is None, which asks for all within a max_distance, by no asymmetric metric: give k or that")
    hits = _by_chunks(rows, plan)
    return _looked_at(rows, plan, range(len(plan.snapshot.segments))) if hits is None else hits


def _by_chunks(rows: NDArray[Any], plan: SearchPlan) -> list[RowHits] | None:
    """Return every item within the distance, by tables of codes; None without, or where they do not pay."""
    snapshot, name, limit = plan.snapshot, plan.channel.name, plan.max_distance
    ready = None if plan.resident is None or plan.exact else plan.resident.chunks(snapshot, name)
    if plan.metric != "hamming" or limit is None or ready is None or type_of(plan.device) == "cuda":
        return None
    from simsearch.search.hamming.code_length import CodeScale, radius_of

    room = 8 * plan.channel.dimension
    scale = None if plan.channel.bits is None else CodeScale.of(rows, plan.metric, plan.channel.bits)
    radius = radius_of(limit if scale is None else scale.padded(limit), room)
    if radius < 0 or not ready.pays(radius):
        return None
    hits, candidates = ready.index.within(rows, radius=radius, most=ready.most)
    covered = [snapshot.uuids[uuid] for uuid in ready.segments]
    stretches = whole(snapshot, name, covered)
    alive = _alive(plan, stretches, hits.positions)
    distances = (hits.counts / room).astype(np.float32)
    distances = distances if scale is None else scale.true(distances)
    ends = np.searchsorted(hits.query_ids, np.arange(len(rows) + 1))
    answers = []
    for first, end in itertools.pairwise(ends.tolist()):
        kept = first + np.flatnonzero(alive[first:end])
        answers.append(RowHits(_hits(plan, stretches, distances[kept], hits.positions[kept])))
    if len(crowded := np.flatnonzero(candidates > ready.most)):
        for i, near in zip(crowded.tolist(), _looked_at(rows[crowded], plan, covered), strict=True):
            answers[i] = near
    if not (others := sorted(set(range(len(snapshot.segments))) - set(covered))):
        return answers
    more = _looked_at(rows, plan, others)
    return [RowHits(tuple(sorted(a.hits + b.hits))) for a, b in zip(answers, more, strict=True)]


def _alive(plan: SearchPlan, stretches: Sequence[RowRange], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows, by their positions (m,) in the concatenation of these whole stretches, may be found."""
    starts, block = _stretch_of(stretches, positions)
    alive = np.ones(len(positions), bool)
    for b in np.unique(block).tolist():
        if (mask := plan.live_rows(stretches[b].segment)) is not None:
            alive[block == b] = mask[positions[block == b] - starts[b]]
    return alive


def _looked_at(rows: NDArray[Any], plan: SearchPlan, numbers: Sequence[int]) -> list[RowHits]:
    """Return every item of some segments within the distance, by a look at each."""
    from simsearch.search.range_search import within

    stretches = whole(plan.snapshot, plan.channel.name, numbers)
    if not len(rows) or not any(stretch.rows for stretch in stretches):
        return [RowHits()] * len(rows)
    assert plan.max_distance is not None
    found = within(
        rows,
        _blocks(plan, stretches),
        max_distance=plan.max_distance,
        metric=plan.metric,
        live=_live(plan, stretches),
        device=plan.device,
        bits=plan.channel.bits,
    )
    parts = [slice(*ends) for ends in zip(found.starts[:-1], found.starts[1:], strict=True)]
    return [RowHits(_hits(plan, stretches, found.distances[i], found.positions[i])) for i in parts]


def _by_margins(rows: NDArray[Any], plan: SearchPlan, count: int, stretches: Sequence[RowRange]) -> list[RowHits]:
    from simsearch.search.hamming.asymmetric import nearest_by_margins

    blocks, live = _blocks(plan, stretches), _live(plan, stretches)
    found = nearest_by_margins(rows, blocks, k=count, live=live, max_distance=plan.max_distance)
    return _named(plan, stretches, found, None)


def _by_index(
    rows: NDArray[Any], plan: SearchPlan, ready: OpenIndex, count: int, *, recall_k: int
) -> list[RowHits] | None:
    """Search an index, and exactly what it does not cover; return None where exact search is faster.

    Args:
        rows: The queries.
        plan: Of the search.
        ready: The index.
        count: Rows that are searched for.
        recall_k: Neighbours whose recall is reported.
    """
    from simsearch.library.indexes.search_parameters import choose_parameters
    from simsearch.search.approximate_search import approximate
    from simsearch.search.hamming.code_length import CodeScale

    snapshot, name = plan.snapshot, plan.channel.name
    covered = [snapshot.uuids[uuid] for uuid in ready.record.segments]
    stretches = whole(snapshot, name, covered)
    live, bits = _live(plan, stretches), plan.channel.bits
    gone = sum(int(np.count_nonzero(~mask)) for mask in live if mask is not None)
    left = ready.record.rows - gone
    order: Order = "exact" if plan.metric == "hamming" else plan.order or ready.record.order
    way = choose_parameters(ready.record, ready.index.efforts(), k=recall_k, rows=count, live=left, order=order)
    if way is None or way.depth > ready.index.max_candidates:  # a GPU returns no more
        return None
    scale = None if bits is None else CodeScale.of(rows, plan.metric, bits)
    limit = plan.max_distance
    found = approximate(
        rows,
        _blocks(plan, stretches),
        ready.index,
        k=count,
        effort=way.effort,
        depth=way.depth,
        order=order,
        live=live,
        max_distance=limit if scale is None or limit is None else scale.padded(limit),
        ids=None if len(rising(snapshot, name, covered)) == 1 else partial(_ids, plan, stretches),
    )
    if scale is not None:
        found = replace(found, distances=scale.true(found.distances))
    answer = [replace(near, order=order) for near in _named(plan, stretches, found, way.recall)]
    others = [s for s in range(len(snapshot.segments)) if s not in set(covered)]
    return _joined([answer, _exactly(rows, plan, count, others)], len(rows), plan) if others else answer


def _live(plan: SearchPlan, stretches: Sequence[RowRange]) -> Live:
    """Return masks of the rows of live items that are neither hidden nor of too low a quality."""
    masks = [(plan.live_rows(s), first, end) for s, first, end in stretches]
    return [None if mask is None else mask[first:end] for mask, first, end in masks]


def _named(plan: SearchPlan, stretches: Sequence[RowRange], found: Neighbours, recall: Recall | None) -> list[RowHits]:
    """Return the items at positions in the concatenation of these stretches."""
    return [
        RowHits(_hits(plan, stretches, distances, positions)[: plan.k + plan.spare], bool(certified), recall)
        for distances, positions, certified in zip(found.distances, found.positions, found.certified, strict=True)
    ]


def _places(
    plan: SearchPlan, stretches: Sequence[RowRange], positions: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.bool_], NDArray[np.intp]]]:
    """Yield, for each stretch, its segment, which positions (any shape) lie in it, and their items in the segment."""
    starts, block = _stretch_of(stretches, positions)
    for b in sorted(set(block[positions >= 0].tolist())):
        segment, first, _ = stretches[b]
        here = (block == b) & (positions >= 0)
        item = plan.snapshot.segments[segment].channels[plan.channel.name].item
        yield segment, here, item[positions[here] - starts[b] + first].astype(np.intp)


def _stretch_of(
    stretches: Sequence[RowRange], positions: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return where each stretch begins in their concatenation, and in which of them each position (any shape) lies."""
    starts = np.cumsum([0, *(stretch.rows for stretch in stretches)])
    return starts, np.searchsorted(starts, positions, side="right") - 1


def _ids(plan: SearchPlan, stretches: Sequence[RowRange], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the ids of the items at positions (any shape); -1 for none."""
    ids = np.full(positions.shape, -1, np.int64)
    for segment, here, items in _places(plan, stretches, positions):
        ids[here] = plan.snapshot.segments[segment].ids[items]
    return ids


def _hits(
    plan: SearchPlan, stretches: Sequence[RowRange], distances: NDArray[np.float32], positions: NDArray[np.int64]
) -> tuple[SearchHit, ...]:
    """Return the items of row positions (k,), each once, at its nearest part."""
    best: dict[Place, SearchHit] = {}
    for segment, here, items in _places(plan, stretches, positions):
        ids = plan.snapshot.segments[segment].ids[items]
        for distance, item, number in zip(distances[here].tolist(), items.tolist(), ids.tolist(), strict=True):
            best.setdefault(Place(segment, item), SearchHit(distance, number, Place(segment, item)))
    return tuple(sorted(best.values()))


def checked_rows(rows: NDArray[Any], channel: Channel, metric: str) -> NDArray[Any]:
    """Return query rows in the dtype of the channel that they are of: (q, d).

    Raises:
        RowError: A row is NaN, infinite, zero-sum or of the wrong dimension; it is named.
        MetricError: The metric is not defined on these rows.
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
