"""Pruning: which items of the folders and tars that were looked through were not found there."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from simsearch.errors import InputError
from simsearch.images.find import find
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source, printable
from simsearch.library.items import path_key
from simsearch.library.names import MEMBER, Names, names_of
from simsearch.library.selection import PathLike, absolute, below_all
from simsearch.library.snapshot import Place, Snapshot

Found: TypeAlias = Source | Rejected


def require_found(snapshot: Snapshot, paths: Sequence[PathLike], *, empty_too: bool) -> list[PathLike]:
    """Return the paths that are there, once it is sure that none is gone only because a disk is not mounted.

    Raises:
        InputError: nothing is found any more in a path of which the library holds items, and `empty_too` is not set.
    """
    names = names_of(snapshot)
    there: list[PathLike] = []
    for path in paths:
        named = absolute(path)
        held = below_all(snapshot, names.of_folder(named))
        if held and empty_too and not os.path.lexists(named):
            continue
        if held and not empty_too and next(find([path]), None) is None:
            raise InputError(
                f"nothing is found in {printable(named)}, of which the library holds {len(held):,} images: is its disk "
                "mounted? --prune-empty (prune_empty=True) removes them"
            )
        there.append(path)
    return there


class Seen:
    """The inputs that were found, and the folders that could not be read."""

    def __init__(self) -> None:
        self._names = Names(())
        self._keys = array("Q")  # of the path of each input, and of its path without links to folders
        self._files = array("Q")  # which file an input is, and the latter key
        self._unread: list[bytes] = []

    def note(self, sources: Iterable[Found]) -> None:
        """Remember inputs."""
        for found in sources:
            source = found.source if isinstance(found, Rejected) else found
            real = self._names.real(source)
            key = path_key(real)
            self._keys.append(key)
            if real != source.path:
                self._keys.append(path_key(source.path))
            if isinstance(found, Rejected):
                self._unread += {source.path.rstrip(b"/"), real.rstrip(b"/")}
            elif found.file_id and not found.offset:
                self._files.extend((found.file_id, key))

    def same_file(self) -> int:
        """Return how many inputs were a further name, by a link or a hard link, of a file that was there already."""
        pairs = np.unique(np.array(self._files, np.uint64).reshape(-1, 2), axis=0)
        return len(pairs) - len(np.unique(pairs[:, 0]))

    def gone(self, snapshot: Snapshot, paths: Iterable[PathLike]) -> list[Place]:
        """Return the live items in these folders and tars that were not found; what could not be read stays."""
        given = [absolute(path) for path in paths]
        if not given:
            return []
        kept, names = set(self._keys), names_of(snapshot)
        held = below_all(snapshot, (folder for path in given for folder in names.of_folder(path)))
        known = ((place, names.of_file(snapshot.path(place) or b"")) for place in held)
        return [place for place, spelled in known if not any(self._is_kept(path, kept) for path in spelled)]

    def _is_kept(self, path: bytes, kept: set[int]) -> bool:
        unread = any(path.startswith((folder + b"/", folder + MEMBER)) for folder in self._unread)
        return unread or path_key(path) in kept
