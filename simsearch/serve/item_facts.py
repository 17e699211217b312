"""What is told of an item."""

from __future__ import annotations

import json
from typing import Any

from simsearch.errors import ItemNotFound
from simsearch.images.source import as_text
from simsearch.library.format.items import numbers
from simsearch.library.format.snapshot import Place, Snapshot

_NUMBERS = ("width", "height", "bytes", "quality")


def place_of(snapshot: Snapshot, number: int) -> Place:
    """Return where an item is.

    Raises:
        ItemNotFound: There is none of that id.
    """
    place = snapshot.by_id(number)
    if place is None:
        raise ItemNotFound(f"the library has no item {number}")
    return place


def facts_of(snapshot: Snapshot, place: Place) -> dict[str, Any]:
    """Return id, path, content, size, quality, owner and attributes of an item as JSON types."""
    segment = snapshot.segments[place.segment]
    path, encoded = (None, None) if (raw := snapshot.path(place)) is None else as_text(raw)
    content = segment.content(place.position)
    values = {name: int(numbers(segment.items.column(name).slice(place.position, 1))[0]) for name in _NUMBERS}
    owner, attributes = snapshot.labels(place)
    return {
        "id": snapshot.id(place),
        "path": path,
        **({} if encoded is None else {"path_b64": encoded}),
        "sha256": None if content is None else content.hex(),
        **{name: None if value < 0 else value for name, value in values.items()},
        "owner": owner,
        "attributes": None if attributes is None else json.loads(attributes),
    }
