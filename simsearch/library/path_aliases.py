"""The aliases of a file in a library: paths that differ only in links to folders mean the same."""

from __future__ import annotations

import os
from collections.abc import Iterable

from simsearch.images.paths import Links, absolute
from simsearch.images.source import Source
from simsearch.library.format.snapshot import Place, Snapshot

MEMBER = b"::"


def split_member(path: bytes) -> tuple[bytes, bytes]:
    """Return the file that holds a path's bytes, and `::member` for a tar's member or nothing."""
    tar, mark, member = path.partition(MEMBER)
    if mark and b"\0" not in path and not os.path.lexists(path):
        return tar, mark + member
    return path, b""


class PathAliases:
    """The aliases of paths: paths stay as they were given, and mean one file where their real roots agree.

    A link to a file is a file of its own; a link to a folder is another name of that folder. An object of this class is
    for one call, since links change.
    """

    def __init__(self, roots: Iterable[bytes], climbing: Iterable[bytes] = ()) -> None:
        """Resolve the roots.

        Args:
            roots: Of the library's items.
            climbing: Paths of items that hold `..`, as the first libraries took them from lists.
        """
        self._links = Links()
        self._roots: set[bytes] = set()
        self._aliases: list[tuple[bytes, bytes]] = []  # where a root really lies, and the root
        for root in roots:
            self._learn(root)
        self._climbing = {self._real_file(absolute(path)): path for path in climbing}

    def _learn(self, root: bytes) -> bytes:
        real = self._links.real(root)
        if root not in self._roots:
            self._roots.add(root)
            if real != root:
                self._aliases.append((real, root))
        return real

    def real(self, source: Source) -> bytes:
        """Return the path of an input without links to folders: equal for all names of one file."""
        base = source.link or source.root
        return _joined(self._learn(base), source.path[len(base.rstrip(b"/")) :])

    def of_source(self, source: Source) -> list[bytes]:
        """Return the aliases of an input, its own path first."""
        return self._of(source.path, self.real(source))

    def of_file(self, path: bytes) -> list[bytes]:
        """Return the aliases of an absolute path of a file or a tar's member, itself first."""
        return self._of(path, self._real_file(path))

    def of_folder(self, path: bytes) -> list[bytes]:
        """Return the aliases of an absolute path of a folder or tar, itself first."""
        folder = b"\0" not in path and os.path.isdir(path)  # noqa: PTH112
        real = self._links.real(path) if folder else self._real_file(path)
        inside = [root for target, root in self._aliases if target.startswith(real.rstrip(b"/") + b"/")]
        climbed = [
            _folder(stored) for known, stored in self._climbing.items() if is_below(known, real) and known != real
        ]
        return list(dict.fromkeys([*self._of(path, real), *inside, *climbed]))

    def _real_file(self, path: bytes) -> bytes:
        file, member = split_member(path)
        folder, name = os.path.split(file)
        return _joined(self._links.real(folder), b"/" + name) + member

    def _of(self, path: bytes, real: bytes) -> list[bytes]:
        if path == real and not self._aliases and not self._climbing:
            return [path]
        others = [
            _joined(root, real[len(target.rstrip(b"/")) :]) for target, root in self._aliases if is_below(real, target)
        ]
        return list(dict.fromkeys([path, real, *others, self._climbing.get(real, real)]))


def names_of(snapshot: Snapshot) -> PathAliases:
    """Return the aliases of a library's items."""
    climbing = [name for segment in snapshot.segments for name in segment.paths(segment.climbing) if name is not None]
    return PathAliases((root for segment in snapshot.segments for root in segment.roots), climbing)


def stored_name(snapshot: Snapshot, place: Place) -> tuple[bytes, bytes]:
    """Return root and name of an item that has a path."""
    segment = snapshot.segments[place.segment]
    root, name = (segment.items.column(column)[place.position].as_py() for column in ("root", "path"))
    return segment.roots[root], name


def _joined(root: bytes, rest: bytes) -> bytes:
    return (root.rstrip(b"/") + rest) or b"/"


def _folder(path: bytes) -> bytes:
    tar, mark, _ = path.partition(MEMBER)
    return tar if mark else os.path.dirname(path)  # noqa: PTH120


def is_below(path: bytes, folder: bytes) -> bool:
    """Return whether a path is a folder's or a tar's own, or lies below."""
    return path == folder or path.startswith((folder.rstrip(b"/") + b"/", folder + MEMBER))
