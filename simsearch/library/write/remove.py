"""Removing items: a bit in the manifest, so that it costs the same for one item or a million."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from simsearch.errors import InputError, shown
from simsearch.library.format.items import reject_owners
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.path_aliases import is_below, names_of
from simsearch.library.select_items import PathLike, absolute, select
from simsearch.library.write.writer import Writer


@dataclass(frozen=True, slots=True)
class Removal:
    """The items of a call of `remove`.

    Attributes:
        places: The live items, in order.
        folders: The given paths, under all their aliases; none for all paths.
        owner: Whose items alone; None for anybody's.
        rejects: Rejected inputs below the paths, which only a purge forgets.
    """

    places: tuple[Place, ...]
    folders: tuple[bytes, ...]
    owner: str | None
    rejects: tuple[bytes, ...]

    def forgets(self, path: bytes, owner: str | None) -> bool:
        """Return whether the name of a rejected input goes with a purge."""
        below = not self.folders or any(is_below(path, folder) for folder in self.folders)
        return below and self.owner in (None, owner)

    def names(self, snapshot: Snapshot) -> list[bytes]:
        """Return the path of each item, `id:N` for one without."""
        return [snapshot.path(place) or b"id:%d" % snapshot.id(place) for place in self.places]


def planned(
    snapshot: Snapshot, library: Path, paths: Iterable[PathLike], *, owner: str | None = None, purge: bool = False
) -> Removal:
    """Return the items that are below one of the paths and belong to the owner.

    Raises:
        InputError: The library has no items of a path or of the owner; or neither is given.
    """
    given = list(paths)
    if not given and owner is None:
        raise InputError("nothing is named to be removed; give paths, id:N, or an owner")
    found = select(snapshot, given) if given else [_owned(snapshot, owner)]
    owned = [[place for place in places if owner is None or snapshot.labels(place)[0] == owner] for places in found]
    folders = _folders(snapshot, given)
    removal = Removal(tuple(sorted({place for places in owned for place in places})), folders, owner, ())
    removal = replace(removal, rejects=_rejects(snapshot, removal))
    for path, places in zip(given, owned, strict=False):
        if not places and not (purge and _has_traces(snapshot, path, owner)):
            whose = "" if owner is None else f" of owner {shown(owner)!r}"
            raise InputError(f"{shown(path)} is not in the library {library}{whose}; nothing was removed")
    if not given and not removal.places and not (purge and _has_traces(snapshot, None, owner)):
        raise InputError(f"owner {shown(owner)!r} has no image in the library {library}; nothing was removed")
    return removal


def remove(writer: Writer, removal: Removal) -> int:
    """Remove items in one commit, and return how many."""
    if removal.places:
        writer.commit(removed=removal.places)
    return len(removal.places)


def _folders(snapshot: Snapshot, paths: Iterable[PathLike]) -> tuple[bytes, ...]:
    """Return the paths under all their aliases in the library."""
    names = names_of(snapshot)
    return tuple(dict.fromkeys(name for path in paths for name in names.of_folder(absolute(path))))


def _owned(snapshot: Snapshot, owner: str | None) -> list[Place]:
    """Return the live items of an owner."""
    places: list[Place] = []
    for s, segment in enumerate(snapshot.segments):
        own = pc.equal(segment.items.column("owner"), owner).fill_null(False).to_numpy(zero_copy_only=False)
        places += [Place(s, position) for position in np.intersect1d(np.flatnonzero(own), snapshot.live(s)).tolist()]
    return places


def _rejects(snapshot: Snapshot, removal: Removal) -> tuple[bytes, ...]:
    found: dict[bytes, None] = {}
    for segment in snapshot.segments:
        paths = segment.rejects.column("path").to_pylist()
        for path, owner in zip(paths, reject_owners(segment.rejects), strict=True):
            if removal.forgets(path, owner):
                found[path] = None
    return tuple(found)


def _has_traces(snapshot: Snapshot, path: PathLike | None, owner: str | None) -> bool:
    """Return whether files still hold items removed before, or the name of a rejected input."""
    every = tuple(replace(record, removed=None) for record in snapshot.state.segments)
    whole = Snapshot(replace(snapshot.state, segments=every), snapshot.segments)
    places = _owned(whole, owner) if path is None else select(whole, [path])[0]
    if any(owner is None or whole.labels(place)[0] == owner for place in places):
        return True
    folders = () if path is None else _folders(snapshot, [path])
    return bool(_rejects(snapshot, Removal((), folders, owner, ())))
