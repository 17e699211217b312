"""The readable part of a damaged manifest, read from a copy."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.errors import LibraryError, LibraryTooNew
from simsearch.library.format.channel import DTYPES, Channel
from simsearch.library.format.commit import FileRecord, Mask, State
from simsearch.library.format.layout import LOGS, MANIFEST, kept_aside
from simsearch.library.format.manifest import Manifest, channels_query
from simsearch.library.verdicts.log import whole_entries
from simsearch.library.verdicts.verdict import Verdict


@dataclass(slots=True)
class Salvaged:
    """The contents of an old manifest, as far as it can be read.

    Attributes:
        state: All of it, if it is readable.
        channels: In order.
        ranks: Of the segments, by name.
        removed: Their packed bitmaps, None for nothing removed.
        files: Of each segment, by name.
        next_id: The first free id; 0 where it is not known.
        verdicts: The log of verdicts, as far as it is what was written.
        lost_verdicts: Entries of it that are not.
    """

    state: State | None = None
    channels: list[Channel] = field(default_factory=list)
    ranks: dict[str, int] = field(default_factory=dict)
    removed: dict[str, bytes | None] = field(default_factory=dict)
    files: dict[str, dict[str, FileRecord]] = field(default_factory=dict)
    next_id: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    lost_verdicts: int = 0

    def mask(self, name: str, items: int) -> Mask | None:
        """Return the deletion mask of a segment, None where it is not known or does not fit."""
        if name not in self.removed:
            return None
        packed = self.removed[name]
        if packed is None:
            return np.zeros(items, bool)
        try:
            raw = zlib.decompressobj().decompress(packed, items // 8 + 2)
        except (zlib.error, TypeError):
            return None
        if len(raw) != (items + 7) // 8:
            return None
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=items).view(bool)


def salvaged(folder: Path) -> Salvaged:
    """Read the remains of a library's manifest, or of the one that an interrupted repair put aside last.

    Raises:
        LibraryTooNew: A later simsearch made it; it is not damaged.
    """
    found = Salvaged()
    path = folder / MANIFEST
    current = path.exists() and path.stat().st_size > 0
    if not current:
        aside = [kept for kept in kept_aside(folder) if kept.name.startswith(MANIFEST) and kept.suffix[-1:].isdigit()]
        if not aside:
            return found
        path = max(aside, key=lambda kept: int(kept.name.rpartition("-")[2]))
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / MANIFEST
        for old, new in _copies(path, copy):
            shutil.copyfile(old, new)
        if current:  # one put aside lacks later commits
            found.state = _state(copy.parent)
        _read_tables(copy, found)
    return found


def _state(folder: Path) -> State | None:
    try:
        return Manifest(folder).read()
    except LibraryTooNew:
        raise
    except (LibraryError, sqlite3.Error):
        return None


def _copies(path: Path, copy: Path) -> Iterator[tuple[Path, Path]]:
    for ending in ("", *(log.removeprefix(MANIFEST) for log in LOGS if not log.endswith("shm"))):
        old = path.with_name(path.name + ending)
        if old.exists():
            yield old, copy.with_name(copy.name + ending)


def _read_tables(path: Path, found: Salvaged) -> None:
    try:
        with closing(sqlite3.connect(path)) as db:
            for row in _rows(db, "SELECT value FROM meta WHERE key = 'next_id'"):
                found.next_id = row[0] if isinstance(row[0], int) and 0 <= row[0] < 2**62 else 0
            for row in _rows(db, channels_query(db)):
                if (channel := _channel(row)) is not None:
                    found.channels.append(channel)
            for name, rank, removed in _rows(db, "SELECT uuid, rank, removed FROM segments"):
                if isinstance(name, str) and isinstance(rank, int):
                    found.ranks[name], found.removed[name] = rank, removed
            for segment, name, size, sha256 in _rows(db, "SELECT segment, name, bytes, sha256 FROM files"):
                found.files.setdefault(segment, {})[name] = FileRecord(name, size, sha256)
            found.verdicts, found.lost_verdicts = whole_entries(db)
    except sqlite3.Error:  # what was read until then is kept
        return


def _rows(db: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows up to the first that cannot be read."""
    try:
        yield from db.execute(query)
    except sqlite3.Error:
        return


def _channel(row: tuple[Any, ...]) -> Channel | None:
    name, model, fingerprint, dimension, dtype, metric, non_negative, card, bits = row
    texts = all(isinstance(text, str) for text in (name, model, fingerprint, metric))
    if not texts or not isinstance(dimension, int) or dtype not in DTYPES:
        return None
    return Channel(name, model, fingerprint, dimension, dtype, metric, bool(non_negative), card, bits)
