"""Pruning: items of the searched folders and tars that were not found there."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from simsearch.errors import InputError, shown
from simsearch.images.find import find
from simsearch.images.source import Found, Rejected, source_of
from simsearch.library.format.items import join, path_key
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.path_aliases import PathAliases, is_below, names_of, split_member
from simsearch.library.select_items import PathLike, absolute, below_all

_SHOWN = 300  # characters of a folder in a message


def require_found(snapshot: Snapshot, paths: Sequence[PathLike], *, empty_too: bool) -> list[PathLike]:
    """Return the paths that exist, once it is certain that none is missing only because a disk is not mounted.

    Raises:
        InputError: Of a path none of the library's items is found any more, or a folder below it that held some is
            there and empty, as one on which no disk is mounted, and `empty_too` is not set.
    """
    names = names_of(snapshot)
    there: list[PathLike] = []
    for path in paths:
        named = absolute(path)
        held = below_all(snapshot, names.of_folder(named))
        if held and empty_too and not os.path.lexists(named):
            continue
        if held and not empty_too:
            _require_mounted(snapshot, path, held, names)
        there.append(path)
    return there


def _require_mounted(snapshot: Snapshot, path: PathLike, held: Sequence[Place], names: PathAliases) -> None:
    seen, folders = SeenInputs(), set[bytes]()

    def noted() -> Iterator[Found]:
        for found in find([path]):
            if not isinstance(found, Rejected):  # as `lost+found` is that only root may read
                folders.add(os.path.dirname(found.file))  # noqa: PTH120
            yield found

    seen.note(noted())
    gone = seen.gone(snapshot, [path])
    if len(gone) == len(held):
        raise InputError(
            f"nothing that the library knows is found in {shown(absolute(path), _SHOWN)}, of which it holds "
            f"{len(held):,} images: is its disk mounted? --prune-empty (prune_empty=True) removes them"
        )
    files = [split_member(snapshot.path(place) or b"")[0] for place in gone]
    emptied = _emptied(absolute(path), names, files, folders)
    if emptied:
        folder, count = min(emptied.items())
        raise InputError(
            f"nothing is found in the folder {shown(folder, _SHOWN)}, of which the library holds {count:,} images: is "
            "its disk mounted? --prune-empty (prune_empty=True) removes them"
        )


def _emptied(top: bytes, names: PathAliases, files: Iterable[bytes], found: Iterable[bytes]) -> Counter[bytes]:
    """Count the files by the lowest existing folder below `top`, where that folder holds no input now."""
    tops, real_top = tuple(join(one, b"") for one in names.of_folder(top)), join(os.path.realpath(top), b"")
    inhabited = set[bytes]()
    for folder in map(os.path.realpath, found):
        while folder not in inhabited:
            inhabited.add(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120, PLW2901
    emptied: Counter[bytes] = Counter()
    lowest: dict[bytes, bytes] = {}
    for file in files:
        folder = start = os.path.dirname(file)  # noqa: PTH120
        if start not in lowest:
            while _is_gone(folder):
                folder = os.path.dirname(folder)  # noqa: PTH120
            lowest[start] = folder
        folder = lowest[start]
        real = os.path.realpath(folder)
        if real not in inhabited and (folder.startswith(tops) or real.startswith(real_top)):
            emptied[folder] += 1
    return emptied


def _is_gone(folder: bytes) -> bool:
    return len(folder) > 1 and not os.path.isdir(folder)  # noqa: PTH112


class SeenInputs:
    """The inputs that were found, and the folders that could not be read."""

    def __init__(self) -> None:
        self._names = PathAliases(())
        self._keys = array("Q")  # of the path of each input, and of its path without links to folders
        self._files = array("Q")  # which file an input is, and the latter key
        self._unread: list[bytes] = []

    def note(self, sources: Iterable[Found]) -> None:
        """Record inputs."""
        for found in sources:
            source = source_of(found)
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
        """Return how many inputs were a further link or hard link to an earlier file."""
        file, key = np.array(self._files, np.uint64).reshape(-1, 2).T
        order = np.lexsort((key, file))
        same = file[order][1:] == file[order][:-1]
        return int(np.count_nonzero(same & (key[order][1:] != key[order][:-1])))

    def gone(self, snapshot: Snapshot, paths: Iterable[PathLike]) -> list[Place]:
        """Return the live items in these folders and tars that were not found; unreadable ones stay."""
        given = [absolute(path) for path in paths]
        if not given:
            return []
        kept, names = set(self._keys), names_of(snapshot)
        held = below_all(snapshot, (folder for path in given for folder in names.of_folder(path)))
        known = ((place, names.of_file(snapshot.path(place) or b"")) for place in held)
        return [place for place, spelled in known if not any(self._is_kept(path, kept) for path in spelled)]

    def _is_kept(self, path: bytes, kept: set[int]) -> bool:
        return path_key(path) in kept or any(is_below(path, folder) for folder in self._unread)
