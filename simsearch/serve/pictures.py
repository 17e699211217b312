"""Small pictures of items: read from the item's own file, and only while that holds what was indexed."""

from __future__ import annotations

import hashlib

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images.find import find
from simsearch.images.input_lists import ListEntry
from simsearch.images.source import Source, load_bytes, read_range
from simsearch.library import Library
from simsearch.library.format.snapshot import Place
from simsearch.library.path_aliases import split_member
from simsearch.library.read.thumbnails import LIMITS, small_jpeg
from simsearch.serve.item_facts import place_of

SIDE = 256  # pixels, by default
LARGEST = 512


def thumbnail(library: Library, number: int, side: int = SIDE) -> tuple[bytes, str]:
    """Return a small JPEG of an item and a tag that changes with its content.

    Raises:
        ItemNotFound: There is no such item.
        ImageRejected: Its file is gone, holds something else by now, or cannot be decoded; or it never had one.
    """
    place = place_of(library.snapshot, number)
    content = library.snapshot.segments[place.segment].content(place.position)
    path = library.snapshot.path(place)
    if path is None:
        raise ImageRejected(RejectCode.IO_ERROR, "the item came from memory or as a row, and has no file")
    data = _data(path)
    if content is not None and hashlib.sha256(data).digest() != content:
        raise ImageRejected(RejectCode.IO_ERROR, "the file is no longer what was indexed")
    return small_jpeg(data, side=side, limits=LIMITS)[0], tag(library, place, side)


def tag(library: Library, place: Place, side: int) -> str:
    """Return the tag of a small picture."""
    content = library.snapshot.segments[place.segment].content(place.position) or b""
    return f'"{content.hex()[:32] or library.snapshot.id(place)}-{side}"'


def _data(path: bytes) -> bytes:
    file, member = split_member(path)
    if not member:
        return read_range(path, offset=0, size=0, limit=LIMITS.max_bytes)
    found = (one for one in find([], from_list=[ListEntry(b"/", file[1:])]) if isinstance(one, Source))
    source = next((one for one in found if one.path == path), None)
    if source is None:
        raise ImageRejected(RejectCode.IO_ERROR, "it is not there any more")
    return load_bytes(source, LIMITS.max_bytes)
