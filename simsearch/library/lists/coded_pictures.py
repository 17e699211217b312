"""Pictures whose codes are known already: what somebody sends as codes, and what a library stores of its items."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from simsearch.errors import InputError, ItemNotFound
from simsearch.images.source import Source
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.lists.check import checked
from simsearch.library.lists.codes import DIGESTS, PDQ, Code, is_blank, parsed
from simsearch.library.lists.comparison import Comparison, Thresholds, comparison_of, planned
from simsearch.library.lists.found import Checked
from simsearch.library.lists.image_list import ImageList
from simsearch.library.lists.open_lists import Models
from simsearch.library.lists.pictures import Makers, Picture

_NOTHING = Source.of(b"")
_AT_ONCE = 1024


def check_coded(
    given: Sequence[Picture], lists: Sequence[ImageList], models: Models, thresholds: Thresholds, *, count: bool
) -> Checked:
    """Check pictures whose codes are known; arguments and errors are those of `Library.check`.

    Args:
        given: The pictures.
        lists: Block and allow lists.
        models: Whose rates judge.
        thresholds: Up to where a match is one.
        count: Whether the flood guard counts them.
    """
    kinds = {kind for picture in given for kind in (*picture.rows, *picture.digests)}
    plan = planned(lists, Makers(), models.rates, thresholds, kinds=kinds)
    return checked(given, plan, count=count)


def of_codes(codes: Sequence[str], models: Models) -> list[Picture]:
    """Return one picture a code, each written as `TYPE:VALUE`.

    Raises:
        InputError: One is no code, or is a row of no channel of the library.
    """
    return [_of_code(text, models) for text in codes]


def of_items(snapshot: Snapshot, ids: Sequence[int], models: Models) -> list[Picture]:
    """Return items as pictures, by their SHA-256 and the rows that are stored of them.

    Raises:
        ItemNotFound: There is no item of an id.
    """
    found = []
    for number in ids:
        place = snapshot.by_id(number)
        if place is None:
            raise ItemNotFound(f"the library has no item {number}")
        segment = snapshot.segments[place.segment]
        content = segment.content(place.position)
        quality = int(numbers(segment.items.column("quality").slice(place.position, 1))[0])
        stored = {kind: snapshot.row(place, channel.name) for kind, channel in models.channels.items()}
        rows = {kind: row for kind, row in stored.items() if row is not None}
        digests = {} if content is None else {"sha256": content}
        found.append(Picture(_NOTHING, digests, rows, None if quality < 0 else quality))
    return found


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


def _of_code(text: str, models: Models) -> Picture:
    one = parsed(text)
    if one.type in DIGESTS:
        return Picture(_NOTHING, {one.type: one.value})
    if one.type == PDQ:
        weak = 0 if is_blank(one.value) else None
        return Picture(_NOTHING, rows={PDQ: np.frombuffer(one.value, np.uint8)}, pdq_quality=weak)
    channel = models.channels.get(one.type)
    if channel is None:
        raise InputError(f"rows of the model {one.type.partition(':')[2][:16]} belong to no channel of this library")
    size = channel.dimension * channel.numpy_dtype.itemsize
    if len(one.value) != size:
        raise InputError(f"a row of {channel.model} has {size} bytes and not {len(one.value)}")
    row = np.frombuffer(one.value, channel.numpy_dtype.newbyteorder("<")).astype(channel.numpy_dtype)
    if row.dtype.kind == "f" and not (np.isfinite(row).all() and row.any()):
        raise InputError(f"a row of {channel.model} is not finite, or all zeros")
    return Picture(_NOTHING, rows={one.type: row})
