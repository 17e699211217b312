"""The contents of a library, each once, with the folders and names by which pairs of them are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.images.source import as_text
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.read.query import Query

_ENOUGH = 0.1  # share of pairs across folders, from which on pairs of one folder are left out
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CopyPair:
    """Two images that look like copies of each other and were not counted as strangers.

    Attributes:
        one: Path of the first.
        other: Of the second.
        distance: Between them.
    """

    one: str
    other: str
    distance: float


def places_of_contents(snapshot: Snapshot) -> list[Place]:
    """Return the first live item of each content."""
    places, seen = [], set[bytes]()
    for s, segment in enumerate(snapshot.segments):
        for position in snapshot.live(s).tolist():
            content = segment.sha256[position].tobytes()
            if content not in seen or not any(content):  # rows without an image have none
                places.append(Place(s, position))
            seen.add(content)
    return places


def folders_of(snapshot: Snapshot, places: Sequence[Place]) -> Numbers:
    """Return a number for the folder of each item, by which look-alikes of one event are left out.

    -1 for all, where most pairs are of one folder.
    """
    paths = [snapshot.path(place) or b"" for place in places]
    folders = [path.rpartition(b"::" if b"::" in path else b"/")[0] for path in paths]
    numbers = (
        np.unique(np.array(folders, object), return_inverse=True)[1].astype(np.int64)
        if folders
        else np.empty(0, np.int64)
    )
    shares = np.bincount(numbers) / max(1, len(numbers))
    return numbers if 1 - float((shares**2).sum()) >= _ENOUGH else np.full(len(numbers), -1, np.int64)


def name_of_query(query: Query, number: int) -> str:
    """Return the path of a query as text, or its number."""
    return as_text(query.path)[0] if query.path else f"image {number}"


def name_of_item(snapshot: Snapshot, place: Place) -> str:
    """Return the path of an item as text, or its id."""
    path = snapshot.path(place)
    return f"id:{snapshot.id(place)}" if path is None else as_text(path)[0]
