"""Erasing removed items from the segments, the manifest, the indexes and what was put aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simsearch.library.format.atomic_files import naming_full_disk, remove_folder, sync
from simsearch.library.format.layout import REEMBED, kept_aside
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.snapshot import Snapshot
from simsearch.library.indexes.code_tables import discard_tables
from simsearch.library.indexes.store import discard, records, sweep
from simsearch.library.verdicts.log import forget
from simsearch.library.write import merge
from simsearch.library.write.remove import Removal
from simsearch.library.write.writer import Writer


@dataclass(frozen=True, slots=True)
class Purged:
    """The result of a purge, beside the items.

    Attributes:
        rejects: Names of rejected inputs.
        indexes: Indexes with rows of removed items; `optimize --recall` builds new ones.
        aside: Manifests and segments that `repair` had put aside, which may name removed items.
    """

    rejects: int = 0
    indexes: int = 0
    aside: tuple[str, ...] = ()


def purge(writer: Writer, removal: Removal) -> Purged:
    """Erase from disk all items ever removed from the library, and rejected inputs below the same paths.

    With them go the verdicts on contents that no item has any more.

    Raises:
        StorageFull: There is no room to rewrite; the same call resumes.
        LibraryLocked: A reader holds an old state of the manifest for too long.
    """
    gone = _removed_contents(writer.snapshot)
    merge.purge(writer, removal.forgets)
    _forget_roots(writer)
    forget(Manifest(writer.folder), gone)
    with naming_full_disk(writer.folder):
        stale = [record for record in records(writer.folder) if not record.covers(writer.snapshot)]
        for record in stale:
            discard(writer.folder, record)
        discard_tables(writer.folder)
        writer.swept += sweep(writer.folder)
        remove_folder(writer.folder / REEMBED)
        aside = kept_aside(writer.folder)
        for path in aside:
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink()
        sync(writer.folder)
    Manifest(writer.folder).erase()
    return Purged(len(removal.rejects), len(stale), tuple(path.name for path in aside))


def _removed_contents(snapshot: Snapshot) -> set[bytes]:
    """Return the contents of removed items that are still in the files, and that no other item has."""
    removed = {
        segment.sha256[position].tobytes()
        for segment, mask in zip(snapshot.segments, snapshot.removed, strict=True)
        for position in (() if mask is None else np.flatnonzero(mask).tolist())
    }
    contents = list(removed)
    return {content for content, held in zip(contents, snapshot.by_contents(contents), strict=True) if not held}


def _forget_roots(writer: Writer) -> None:
    snapshot = writer.snapshot
    used = {root for s in range(len(snapshot.segments)) for root in merge.used_roots(snapshot, s)}
    if unused := [root for root in snapshot.state.roots if root not in used]:
        writer.commit(unrooted=unused)
