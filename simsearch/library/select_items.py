"""The items of a path: a file, a folder with all below it, a tar or a member of it, or `id:N`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError
from simsearch.images import paths as named_paths
from simsearch.library.format.items import numbers, starting_with
from simsearch.library.format.segment import Segment
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.path_aliases import MEMBER, PathAliases, names_of

PathLike: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
_ID = b"id:"
_LONGEST_ID = 100  # Python refuses to read numbers of thousands of digits


def as_paths(paths: PathLike | Iterable[PathLike]) -> list[PathLike]:
    """Return one path or several as a list.

    Raises:
        InputError: One is no path, or empty.
    """
    one = isinstance(paths, (str, bytes, os.PathLike))
    try:
        given: list[Any] = [paths] if one else list(cast(Iterable[PathLike], paths))
    except TypeError:  # no iterable, which `raw` says
        given = [paths]
    for path in given:
        named_paths.raw(path)
    return given


def absolute(path: PathLike) -> bytes:
    """Return the path as libraries store it: absolute, normalised, a tar's member untouched.

    Raises:
        InputError: The path is empty.
    """
    raw = named_paths.raw(path)
    tar, mark, member = raw.partition(MEMBER)
    if mark and not os.path.lexists(raw):
        return named_paths.absolute(tar) + mark + member
    return named_paths.absolute(raw)


def select(snapshot: Snapshot, paths: Sequence[PathLike]) -> list[list[Place]]:
    """Return the live items of each path, however it is written; none for an unknown one.

    Raises:
        InputError: A path is empty.
    """
    names = names_of(snapshot)
    return [_selected(snapshot, path, names) for path in paths]


def _selected(snapshot: Snapshot, path: PathLike, names: PathAliases) -> list[Place]:
    if isinstance(path, PurePath) and not path.parts:  # Path("") and Path(".") are one value
        raise InputError('an empty path; give "." or Path.cwd() for the current folder')
    named = absolute(path)
    files = [place for place in snapshot.by_paths(names.of_file(named)) if place is not None]
    return _by_id(snapshot, path) or files or below_all(snapshot, names.of_folder(named))


def _by_id(snapshot: Snapshot, path: PathLike) -> list[Place]:
    raw = named_paths.raw(path)
    if not (raw.startswith(_ID) and raw[len(_ID) :].isdigit() and len(raw) < _LONGEST_ID):
        return []
    place = snapshot.by_id(int(raw[len(_ID) :]))
    return [] if place is None else [place]


def below_all(snapshot: Snapshot, folders: Iterable[bytes]) -> list[Place]:
    """Return the live items in any of several folders, at any depth, or tars, each once."""
    paths, places = list(folders), list[Place]()
    for s, segment in enumerate(snapshot.segments):
        inside = np.zeros(len(segment), bool)
        for path in paths if segment.roots else ():
            inside |= _inside(segment, path)
        live = snapshot.live(s)
        places += [Place(s, position) for position in live[inside[live]].tolist()]
    return places


def _inside(segment: Segment, path: bytes) -> NDArray[np.bool_]:
    """Return which items of a segment lie below a path, (n,)."""
    inside = np.zeros(len(segment), bool)
    names = segment.items.column("path")
    roots = numbers(segment.items.column("root"))
    for number, root in enumerate(segment.roots):
        prefix = root.rstrip(b"/") + b"/"
        if prefix.startswith(path.rstrip(b"/") + b"/"):
            inside |= roots == number
        elif path.startswith(prefix):
            below = path[len(prefix) :]
            inside |= (roots == number) & (starting_with(names, below + b"/") | starting_with(names, below + MEMBER))
    return inside
