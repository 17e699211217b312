"""Mirrored and turned copies: each file is read again for the rows of its views, and these are looked for."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simsearch.errors import InputError
from simsearch.images.views import PLAIN, views_of_kinds
from simsearch.library.duplicates.contents import Contents
from simsearch.library.duplicates.near import Advance, Asking, Piece, cross_pairs
from simsearch.library.path_aliases import split_member
from simsearch.library.read.query import Query, QueryEmbedder

KINDS = ("flips", "turns", "letterbox")
"""Kinds of views in which a picture is still the same one; of a part that cannot be said."""
_AT_ONCE = 256  # files whose views are held


def views_named(kinds: Any) -> tuple[str, ...]:
    """Return the names of the views of some kinds, the whole picture's first; none for no kinds.

    Raises:
        InputError: There is no such kind, or it is of parts.
    """
    names = views_of_kinds(kinds)
    given = kinds.split(",") if isinstance(kinds, str) else [*kinds]
    if "crops" in given:
        raise InputError(f"a part of a picture is no duplicate of it: views are of {', '.join(KINDS)}")
    return names


_INVERSE = {"turned 90": "turned 270", "turned 270": "turned 90"}  # any other undoes itself, or is of bars


def inverse(view: str) -> str:
    """Return the view in which a picture is as near, where it is so in `view` for the other one of a pair.

    Example:
        >>> inverse("turned 90"), inverse("mirrored")
        ('turned 270', 'mirrored')
    """
    return _INVERSE.get(view, view)


@dataclass(slots=True)
class ViewSearch:
    """The search for the views of all files.

    Attributes:
        names: Of the views, the whole picture's first.
        embedder: Of the views' rows.
        unread: Files that could not be read so far.
    """

    names: Sequence[str]
    embedder: QueryEmbedder
    unread: int = field(default=0)

    def pieces(
        self, asked: Contents, held: Contents, asking: Asking, advance: Advance | None = None
    ) -> Iterator[Piece]:
        """Yield the pairs of a view of a compared content and another content, by the items' numbers.

        Of one library each pair comes with its lower number first.
        """
        numbers, channel, done = held.items_of_rows(asking.channel), asking.channel, 0
        rows = [segment.channels[channel.name].row for segment in held.snapshot.segments]
        others = rows, held.live_rows(channel)
        back = [self.names.index(inverse(name)) for name in self.names]
        items = (
            int(asked.starts[s]) + int(position)
            for s, mask in enumerate(asked.compared)
            for position in np.flatnonzero(mask).tolist()
        )
        while some := list(itertools.islice(items, _AT_ONCE)):
            queries = self._embedded(asked, some)
            for view, name in enumerate(self.names):
                seen = [i for i, query in queries.items() if name != PLAIN and name in query.rows]
                if not seen:
                    continue
                block = np.stack([queries[i].rows[name] for i in seen])
                of = np.array(seen)
                for left, right, distances in cross_pairs(([block], [np.ones(len(block), bool)]), others, asking):
                    a, b = of[left], numbers[right]
                    same = asked is held
                    ahead, behind = (a < b) | (not same), (a > b) & same
                    yield a[ahead], b[ahead], distances[ahead], view
                    yield b[behind], a[behind], distances[behind], back[view]
            done += len(some)
            if advance is not None:
                advance(done, asked.count)

    def _embedded(self, contents: Contents, items: Sequence[int]) -> dict[int, Query]:
        """Return the views of some items by their numbers, without those of which there is no file."""
        paths = {i: contents.snapshot.path(contents.place(i)) for i in items}
        files = {i: path for i, path in paths.items() if path is not None and not split_member(path)[1]}
        plain = {i: path for i, path in files.items() if os.path.isfile(path)}  # noqa: PTH113 - a name of bytes
        self.unread += len(items) - len(plain)
        found = dict(zip(plain, self.embedder.embed(list(plain.values())), strict=False)) if plain else {}
        by_path = {query.path: query for query in found.values()}
        usable = {i: by_path[path] for i, path in plain.items() if path in by_path and by_path[path].row is not None}
        self.unread += len(plain) - len(usable)
        return usable
