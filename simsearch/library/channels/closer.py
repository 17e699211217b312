"""A closer look at the first matches: more keypoints of both pictures, made from the files, where these are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from simsearch.decide.known_rates import known_rates
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images.find import find
from simsearch.images.input_lists import ListEntry
from simsearch.images.source import Limits
from simsearch.library.format.channel import DEFAULT_DTYPE, Channel, channel_of
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.path_aliases import split_member
from simsearch.library.read.evidence import Testimony
from simsearch.library.read.matches import Match, Matches, QueryMatches
from simsearch.library.read.query import Query
from simsearch.spatial.overlap import overlap
from simsearch.spatial.points import Points, views_of
from simsearch.spatial.second_look import look
from simsearch.spatial.witness import PLACES, Witness, points_of

BYTES = 8192
"""Of keypoints of an item: they tell all of 24 photographs that were cropped by 60 % from 7,080 strangers, of which
2,048 bytes tell six (`scripts/measure_closer.py`)."""
MOST = 20
"""Matches of a query that are looked at."""
PROVED = 6
"""Places from which on a map is shown: of 7,080 pairs of strangers none agreed on more than five."""


def closer_channel() -> tuple[Points, Channel]:
    """Return the extractor of a closer look, and the channel that its rows would have."""
    extractor = Points(bytes=BYTES)
    return extractor, channel_of(extractor, model=extractor.name, dtype=DEFAULT_DTYPE)


def looked_closer(found: Matches, queries: Sequence[Query], snapshot: Snapshot, limits: Limits) -> Matches:
    """Return matches with what a closer look says of the first ones of each query; their order and numbers stay.

    A match gains a witness, with an expected number where the rates of so many keypoints are known, and the overlap
    that it sees. A file that is gone, was changed since it was indexed, or lies in a tar is not looked at.

    Args:
        found: Of `fuse`.
        queries: In the channel of `closer_channel`.
        snapshot: Of the library.
        limits: Of reading a file.
    """
    answers = [_closer(*one, snapshot, limits) for one in zip(found, queries, strict=True)]
    return replace(found, queries=tuple(answers))


def _closer(answer: QueryMatches, query: Query, snapshot: Snapshot, limits: Limits) -> QueryMatches:
    if query.row is None:
        return answer
    places = {match.id: snapshot.by_id(match.id) for match in answer.matches[:MOST]}
    seen = _seen([place for place in places.values() if place is not None], snapshot, limits)
    matches = [
        match
        if (place := places.get(match.id)) is None or place not in seen
        else _told(match, query, *seen[place], snapshot)
        for match in answer.matches
    ]
    return replace(answer, matches=tuple(matches))


def _seen(
    places: Sequence[Place], snapshot: Snapshot, limits: Limits
) -> Mapping[Place, tuple[Witness, tuple[int, int]]]:
    """Return the keypoints and the size of the pictures of items, as far as their files are as they were."""
    paths = {path: place for place in places if (path := snapshot.path(place)) is not None}
    entries = [ListEntry(b"/", path[1:]) for path in paths if not split_member(path)[1]]
    extractor, seen = closer_channel()[0], dict[Place, tuple[Witness, tuple[int, int]]]()
    for one in embed_sources(extractor, find([], from_list=entries), workers=0, limits=limits):
        place = paths.get(one.source.path)
        if not isinstance(one, Embedded) or one.row is None or place is None:
            continue
        if one.sha256 == snapshot.segments[place.segment].content(place.position):
            seen[place] = points_of(one.row), (one.width, one.height)
    return seen


def _told(match: Match, query: Query, item: Witness, size: tuple[int, int], snapshot: Snapshot) -> Match:
    extractor, channel = closer_channel()
    if match.evidence is None or query.row is None or query.size is None:
        return match
    found = look(views_of(query.row, channel.dimension), item)
    known = known_rates(frozenset([extractor.fingerprint]))
    expected = None
    if known is not None:
        rate = known.rate.alone[extractor.fingerprint].rate(np.array(float(found.agreeing)))
        expected = float(len(snapshot) * rate)
    witness = Testimony(channel.name, PLACES, float(found.agreeing), expected)
    common = overlap(found, query.size, size) if found.agreeing >= PROVED else match.evidence.overlap
    witnesses = (*match.evidence.witnesses, witness)
    return replace(match, evidence=replace(match.evidence, witnesses=witnesses, overlap=common))
