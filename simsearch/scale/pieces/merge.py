"""The pieces of an index as one, whose lists stay on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simsearch.errors import IndexFailed, InputError, StorageFull
from simsearch.library.format.atomic_files import digest, fault, naming_full_disk, sync
from simsearch.scale.pieces.piece import PIECES, Piece, pieces_of
from simsearch.scale.pieces.training import FORMAT, Training, read_told, sweep, training_in, write_told
from simsearch.search.indexes.faiss_pieces import merge_lists, read_merged
from simsearch.search.indexes.index import Index

_TOLD = "merged.json"
_DEEP_BELOW = 4 << 30  # bytes of a file of lists up to which it is read whole when it is opened


def merge(training: Training, *, rows: int) -> Index:
    """Merge the pieces of a training into one index, or take what was merged of them before, and open it.

    Positions are the pieces' ids. Lists are written once; the memory in use does not grow with the rows. The pieces may
    be removed afterwards.

    Args:
        training: Of all pieces.
        rows: How many there must be: ids from 0 to this, each once.

    Raises:
        InputError: Ids are missing, or lie in two pieces; it says which.
        FingerprintMismatch: A piece is of another training.
        IndexFailed: A file is damaged.
        StorageFull: The disk has no room for the lists; nothing was written.
    """
    told = training.folder / _TOLD
    found = pieces_of(training)
    named = [piece.sha256 for piece in found]
    if told.exists() and (not found or read_told(told).get("pieces") == named):
        return open_merged(training.folder)
    require_whole(found, rows)
    _require_room(training.folder, sum(piece.bytes for piece in found))
    sweep(training.folder / PIECES)
    stem = f"merged-{training.digest[:8]}-{len(named)}"
    lists, index = training.folder / f"{stem}.lists", training.folder / f"{stem}.faiss"
    told.unlink(missing_ok=True)
    with naming_full_disk(training.folder):
        files = [piece.file for piece in found]
        count = merge_lists(training.spec, training.file, files, lists=lists, index=index)
        if count != rows:
            raise IndexFailed(f"{lists} holds {count:,} rows of {rows:,}; merge the pieces again")
        sync(lists)
        sync(index)
    facts: dict[str, Any] = {"format": FORMAT, "training": training.digest, "pieces": named, "rows": rows}
    facts["written_in"] = _place(training.folder)
    files_told = {path.name: [path.stat().st_size, digest(path)] for path in (lists, index)}
    write_told(told, {**facts, "files": files_told})
    return open_merged(training.folder)


def open_merged(folder: Path) -> Index:
    """Open the index that was merged in a folder, its files checked; very large ones by their size.

    Raises:
        IndexFailed: There is none, or a file is not what was written.
    """
    training, fields = training_in(folder), read_told(folder / _TOLD)
    if fields.get("training") != training.digest:
        raise IndexFailed(f"{folder / _TOLD} is of another training; merge the pieces again")
    for name, (size, sha256) in fields["files"].items():
        if wrong := fault(folder / name, size, sha256, deep=size < _DEEP_BELOW):
            raise IndexFailed(f"{wrong}; merge the pieces again")
    (index,) = [name for name in fields["files"] if name.endswith(".faiss")]
    engine = read_merged(folder / index, training.spec, moved=fields["written_in"] != _place(folder))
    if engine.count != fields["rows"]:
        engine.close()
        raise IndexFailed(f"{folder / index} holds {engine.count:,} rows of {fields['rows']:,}; merge the pieces again")
    return Index(training.spec, engine)


def _require_room(folder: Path, needed: int) -> None:
    """Refuse to begin where the disk is too full: lists are written through a map, which a full disk ends by a signal.

    Raises:
        StorageFull: There is less room.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageFull(f"merging the pieces takes {needed:,} bytes and {free:,} are free in {folder}: make room")


def _place(folder: Path) -> str | None:
    """Return a folder's full name; None for one that FAISS cannot be told."""
    name = str(folder.absolute())
    return name if name.isprintable() else None


def require_whole(pieces: Sequence[Piece], rows: int) -> None:
    """Refuse pieces that leave ids out, or hold one twice.

    Raises:
        InputError: They do.
    """
    at = 0
    for piece in pieces:
        if piece.first != at:
            missing = f"ids {at:,} to {piece.first - 1:,} are in no piece"
            what = missing if piece.first > at else "an id is in two pieces"
            raise InputError(f"{what} ({piece.file.name} begins at {piece.first:,}): build what is missing")
        at = piece.end
    if at != rows:
        raise InputError(f"the pieces hold {at:,} rows and {rows:,} are to be merged: build what is missing")
