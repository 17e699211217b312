"""Pruning: which items of the folders and tars that were looked through were not found there."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TypeAlias

from simsearch.images.rejected import Rejected
from simsearch.images.source import Source
from simsearch.library.items import path_key
from simsearch.library.selection import MEMBER, PathLike, absolute, below
from simsearch.library.snapshot import Place, Snapshot

Found: TypeAlias = Source | Rejected


class Seen:
    """The inputs that were found, and the folders that could not be read."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._unread: list[bytes] = []

    def note(self, sources: Iterable[Found]) -> None:
        """Remember inputs."""
        for found in sources:
            if isinstance(found, Rejected):
                self._unread.append(found.source.path.rstrip(b"/"))
                self._keys.append(path_key(found.source.path))
            else:
                self._keys.append(path_key(found.path))

    def gone(self, snapshot: Snapshot, paths: Iterable[PathLike]) -> list[Place]:
        """Return the live items in these folders and tars that were not found; what could not be read stays."""
        kept = set(self._keys)
        found = {place for path in paths for place in below(snapshot, absolute(path))}
        return sorted(place for place in found if not self._is_kept(snapshot.path(place) or b"", kept))

    def _is_kept(self, path: bytes, kept: set[int]) -> bool:
        unread = any(path.startswith((folder + b"/", folder + MEMBER)) for folder in self._unread)
        return unread or path_key(path) in kept
