"""Which contents of a library its block lists have, by what is stored: for showing them with care, not for accusing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from simsearch.library.format.snapshot import Snapshot
from simsearch.library.lists.codes import Code
from simsearch.library.lists.comparison import Comparison, Thresholds, comparison_of
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.open_lists import Models

_AT_ONCE = 1024


def listed_contents(
    snapshot: Snapshot, lists: Sequence[ImageList], models: Models, contents: Iterable[bytes]
) -> set[bytes]:
    """Return those of some contents that a block list has, by their SHA-256 or by a stored row near an entry's.

    Nothing is decoded. What an allow list excuses is among them.

    Args:
        snapshot: Of the library.
        lists: Its lists.
        models: Its channels.
        contents: SHA-256 of files.
    """
    blocks = [one for one in lists if one.kind == "block" and len(one)]
    wanted = dict.fromkeys(contents)
    found = {content for content in wanted for one in blocks if one.same(Code("sha256", content)) is not None}
    comparisons = [
        made
        for one in blocks
        for kind in one.types()
        if kind in models.channels
        and (made := comparison_of(one, kind, models.rates(one, kind), Thresholds(), [])) is not None
    ]
    rest = iter([content for content in wanted if content not in found]) if comparisons else iter(())
    while some := list(itertools.islice(rest, _AT_ONCE)):
        for comparison in comparisons:
            found |= _near(snapshot, comparison, models, some)
    return found


def _near(snapshot: Snapshot, comparison: Comparison, models: Models, contents: Sequence[bytes]) -> set[bytes]:
    name = models.channels[comparison.type].name
    places = [places[0] if places else None for places in snapshot.by_contents(contents)]
    rows = {
        content: row
        for content, place in zip(contents, places, strict=True)
        if place is not None and (row := snapshot.row(place, name)) is not None
    }
    if not rows:
        return set()
    near = comparison.near(np.stack(list(rows.values())))
    return {content for content, (positions, _) in zip(rows, near, strict=True) if len(positions)}
