"""Removing items: a bit in the manifest, so that it costs the same for one item or a million."""

from __future__ import annotations

from collections.abc import Iterable

from simsearch.errors import InputError, shown
from simsearch.library.selection import PathLike, select
from simsearch.library.snapshot import Place
from simsearch.library.writer import Writer, positions_of


def remove(writer: Writer, paths: Iterable[PathLike]) -> int:
    """Remove what the paths mean, in one commit, and return how many items that were.

    Raises:
        InputError: the library knows nothing of a path; nothing was removed.
    """
    given = list(paths)
    places: set[Place] = set()
    for path, found in zip(given, select(writer.snapshot, given), strict=True):
        if not found:
            raise InputError(f"{shown(path)} is not in the library {writer.folder}; nothing was removed")
        places.update(found)
    if places:
        writer.commit(removed=positions_of(sorted(places)))
    return len(places)
