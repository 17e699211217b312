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

_TIMES = 4  # more rows asked for where copies fill the answer
_ROUNDS = 3  # for all such queries together; then each alone, without the contents that it has


class Hit(NamedTuple):
    """One item near a row."""

    distance: float
    id: int
    place: Place


@dataclass(frozen=True, slots=True)
class Near:
    """The nearest items of one row.

    Attributes:
        hits: Nearest first, ties to the lower id.
        certified: Whether it is proved that no other is nearer.
        recall: Of the index that was asked, if one was.
        order: What the index's candidates were chosen by; exact order without one.
        copies: For each hit the other live items with its content, by id; empty where copies are not looked for.
    """

    hits: tuple[Hit, ...] = ()
    certified: bool = True
    recall: Recall | None = None
    order: Order = "exact"
    copies: tuple[tuple[Place, ...], ...] = ()


Search = Callable[[Sequence[int], int, Sequence[Place]], Sequence[Near]]
"""Gives the nearest items of some rows, by their numbers: so many of each, and none of these."""


def grouped(snapshot: Snapshot, channel: str, *, count: int, k: int, search: Search, least: int = 0) -> list[Near]:
    """Return for each of `count` rows its k nearest contents.

    What is without a known content is a content of its own. Rows are asked for until k contents are found or there are
    no more, so that this costs one search where there are no copies. None that is known to be of a quality below
    `least` stands for its content.
    """
    answers = [Near()] * count
    waiting, asked = list(range(count)), k
    for _ in range(_ROUNDS):
        again = []
        for line, near in zip(waiting, search(waiting, asked, ()), strict=True):
            answers[line] = _one_a_content(snapshot, near)
            if len(answers[line].hits) < k and asked <= len(near.hits) < len(snapshot):
                again.append(line)
        waiting, asked = again, _TIMES * asked
        if not waiting:
            break
    for line in waiting:
        answers[line] = _completed(snapshot, answers[line], k, line, search)
    return _with_copies(snapshot, channel, [replace(near, hits=near.hits[:k]) for near in answers], least)


def grouped_all(snapshot: Snapshot, channel: str, answers: Sequence[Near], *, least: int = 0) -> list[Near]:
    """Return answers that hold all items within a distance with one hit a content."""
    return _with_copies(snapshot, channel, [_one_a_content(snapshot, near) for near in answers], least)


def _completed(snapshot: Snapshot, near: Near, k: int, line: int, search: Search) -> Near:
    while len(near.hits) < k:
        known = [_content(snapshot, hit.place) for hit in near.hits]
        hidden = {hit.place for hit in near.hits}.union(*snapshot.by_contents([sha for sha in known if sha]))
        asked = _TIMES * (k - len(near.hits))
        (more,) = search([line], asked, sorted(hidden))
        near = replace(more, hits=near.hits + _one_a_content(snapshot, more).hits)
        if len(more.hits) < asked:
            break
    return near


def _one_a_content(snapshot: Snapshot, near: Near) -> Near:
    """The nearest hit of each content."""
    seen = set[bytes]()
    hits = []
    for hit in near.hits:
        content = _content(snapshot, hit.place)
        if content is None or content not in seen:
            hits.append(hit)
            seen.add(content or b"")
    return replace(near, hits=tuple(hits))


def _with_copies(snapshot: Snapshot, channel: str, answers: Sequence[Near], least: int) -> list[Near]:
    """Name the copies of each hit; of those with its very row the one with the lowest id is the hit."""
    contents = {sha for near in answers for hit in near.hits if (sha := _content(snapshot, hit.place)) is not None}
    members = dict(zip(contents, snapshot.by_contents(list(contents)), strict=True))
    told = []
    for near in answers:
        pairs = []
        for hit in near.hits:
            places = members.get(_content(snapshot, hit.place) or b"", [hit.place])
            by_id = sorted((snapshot.id(place), place) for place in places) if len(places) > 1 else []
            equals = (pair for pair in by_id if _same_row(snapshot, channel, pair[1], hit.place))
            lead = next((pair for pair in equals if not _is_below(snapshot, pair[1], least)), hit[1:])
            pairs.append((Hit(hit.distance, *lead), tuple(place for _, place in by_id if place != lead[1])))
        pairs.sort(key=lambda pair: pair[0])
        told.append(replace(near, hits=tuple(hit for hit, _ in pairs), copies=tuple(copies for _, copies in pairs)))
    return told


def _is_below(snapshot: Snapshot, place: Place, least: int) -> bool:
    quality = snapshot.segments[place.segment].items.column("quality")[place.position].as_py() if least else None
    return quality is not None and 0 <= quality < least


def _same_row(snapshot: Snapshot, channel: str, a: Place, b: Place) -> bool:
    ours, theirs = snapshot.row(a, channel), snapshot.row(b, channel)
    return ours is not None and theirs is not None and np.array_equal(ours, theirs)


def _content(snapshot: Snapshot, place: Place) -> bytes | None:
    content = snapshot.segments[place.segment].sha256[place.position].tobytes()
    return content if content.strip(b"\0") else None


def with_same_files(match: Match) -> Match:
    """Return a match whose copies say which of them are its very file under another name, as the disk is now."""
    own = _status(match) if match.copies else None
    if own is None:
        return match
    copies = []
    for copy in match.copies:
        status = _status(copy)
        same = status is not None and os.path.samestat(own, status)
        copies.append(replace(copy, same_file=True) if same else copy)
    return replace(match, copies=tuple(copies))


def _status(item: Match | Copy) -> os.stat_result | None:
    """What the disk says of an item's file; None for one that is gone, without a path, or in a tar."""
    path = item.path.encode() if item.path_b64 is None else base64.b64decode(item.path_b64)
    try:
        return os.stat(path) if path.startswith(b"/") else None  # noqa: PTH116
    except (OSError, ValueError):
        return None
