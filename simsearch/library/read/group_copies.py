"""Exact copies as one match: items with the same content are listed under the nearest of them and do not fill k."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.indexes.curve import Recall
from simsearch.library.read.matches import Copy, Match
from simsearch.search.arguments import Order

_TIMES = 4  # more rows searched where copies fill the answer
_ROUNDS = 3  # for all such queries together; then each alone, with its contents hidden


class SearchHit(NamedTuple):
    """An item near a query row."""

    distance: float
    id: int
    place: Place


@dataclass(frozen=True, slots=True)
class RowHits:
    """The hits of one query row.

    Attributes:
        hits: Nearest first, ties to the lower id.
        certified: Whether it is proved that no other is nearer.
        recall: Of the index, if one was searched.
        order: Of the index's candidates; exact order without one.
        copies: For each hit the other live items with its content, by id; empty where copies are not grouped.
    """

    hits: tuple[SearchHit, ...] = ()
    certified: bool = True
    recall: Recall | None = None
    order: Order = "exact"
    copies: tuple[tuple[Place, ...], ...] = ()


Search = Callable[[Sequence[int], int, Sequence[Place]], Sequence[RowHits]]
"""Returns so many nearest items of some rows, by their ids, and none of the hidden places."""


def grouped(snapshot: Snapshot, channel: str, *, count: int, k: int, search: Search, least: int = 0) -> list[RowHits]:
    """Return the k nearest contents of each of `count` rows.

    An item without a known content is a content of its own. The search is widened until k contents are found or there
    are no more, so that it is one search where there are no copies. No item of a known quality below `least`
    represents its content.
    """
    answers = [RowHits()] * count
    waiting, size = list(range(count)), k
    for _ in range(_ROUNDS):
        again = []
        for query_id, found in zip(waiting, search(waiting, size, ()), strict=True):
            answers[query_id] = _one_a_content(snapshot, found)
            if len(answers[query_id].hits) < k and size <= len(found.hits) < len(snapshot):
                again.append(query_id)
        waiting, size = again, _TIMES * size
        if not waiting:
            break
    for query_id in waiting:
        answers[query_id] = _completed(snapshot, answers[query_id], k, query_id, search)
    return _with_copies(snapshot, channel, [replace(found, hits=found.hits[:k]) for found in answers], least)


def grouped_all(snapshot: Snapshot, channel: str, answers: Sequence[RowHits], *, least: int = 0) -> list[RowHits]:
    """Return the hits within a distance, with one hit a content."""
    return _with_copies(snapshot, channel, [_one_a_content(snapshot, found) for found in answers], least)


def _completed(snapshot: Snapshot, found: RowHits, k: int, query_id: int, search: Search) -> RowHits:
    while len(found.hits) < k:
        known = [_content(snapshot, hit.place) for hit in found.hits]
        hidden = {hit.place for hit in found.hits}.union(*snapshot.by_contents([sha for sha in known if sha]))
        size = _TIMES * (k - len(found.hits))
        (more,) = search([query_id], size, sorted(hidden))
        found = replace(more, hits=found.hits + _one_a_content(snapshot, more).hits)
        if len(more.hits) < size:
            break
    return found


def _one_a_content(snapshot: Snapshot, found: RowHits) -> RowHits:
    """Return the nearest hit of each content."""
    seen = set[bytes]()
    hits = []
    for hit in found.hits:
        content = _content(snapshot, hit.place)
        if content is None or content not in seen:
            hits.append(hit)
            seen.add(content or b"")
    return replace(found, hits=tuple(hits))


def _with_copies(snapshot: Snapshot, channel: str, answers: Sequence[RowHits], least: int) -> list[RowHits]:
    """Name the copies of each hit; of those with its very row the one with the lowest id is the hit."""
    contents = {sha for found in answers for hit in found.hits if (sha := _content(snapshot, hit.place)) is not None}
    members = dict(zip(contents, snapshot.by_contents(list(contents)), strict=True))
    results = []
    for found in answers:
        pairs = []
        for hit in found.hits:
            places = members.get(_content(snapshot, hit.place) or b"", [hit.place])
            by_id = sorted((snapshot.id(place), place) for place in places) if len(places) > 1 else []
            equals = (pair for pair in by_id if _same_row(snapshot, channel, pair[1], hit.place))
            lead = next((pair for pair in equals if not _is_below(snapshot, pair[1], least)), hit[1:])
            pairs.append((SearchHit(hit.distance, *lead), tuple(place for _, place in by_id if place != lead[1])))
        pairs.sort(key=lambda pair: pair[0])
        results.append(replace(found, hits=tuple(hit for hit, _ in pairs), copies=tuple(copies for _, copies in pairs)))
    return results


def _is_below(snapshot: Snapshot, place: Place, least: int) -> bool:
    quality = snapshot.segments[place.segment].items.column("quality")[place.position].as_py() if least else None
    return quality is not None and 0 <= quality < least


def _same_row(snapshot: Snapshot, channel: str, a: Place, b: Place) -> bool:
    return np.array_equal(snapshot.parts(a, channel), snapshot.parts(b, channel))


def _content(snapshot: Snapshot, place: Place) -> bytes | None:
    content = snapshot.segments[place.segment].sha256[place.position].tobytes()
    return content if content.strip(b"\0") else None


def with_same_files(match: Match) -> Match:
    """Return a match whose copies are marked where they are the same file under another name, by the disk now."""
    own_status = _status(match) if match.copies else None
    if own_status is None:
        return match
    copies = []
    for copy in match.copies:
        status = _status(copy)
        same = status is not None and os.path.samestat(own_status, status)
        copies.append(replace(copy, same_file=True) if same else copy)
    return replace(match, copies=tuple(copies))


def _status(item: Match | Copy) -> os.stat_result | None:
    """Return the status of an item's file; None for one that is gone, without a path, or in a tar."""
    path = item.path.encode() if item.path_b64 is None else base64.b64decode(item.path_b64)
    try:
        return os.stat(path) if path.startswith(b"/") else None  # noqa: PTH116
    except (OSError, ValueError):
        return None
