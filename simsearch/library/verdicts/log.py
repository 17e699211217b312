"""The log of verdicts: a table of the manifest, each entry sealed by a digest over itself and all before it."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from simsearch.errors import LibraryDamaged
from simsearch.library.format.manifest import Manifest
from simsearch.library.verdicts.verdict import MOST_NAME, Decision, Verdict

_TABLE = """CREATE TABLE IF NOT EXISTS verdicts (number INTEGER PRIMARY KEY, a BLOB NOT NULL, b BLOB NOT NULL,
    decision TEXT NOT NULL, person TEXT NOT NULL, time TEXT NOT NULL, distance REAL, channel TEXT, digest BLOB NOT NULL)
"""
_COLUMNS = "a, b, decision, person, time, distance, channel"
_NAMED = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'verdicts'"
_START = bytes(32)
_MOST_TEXT = 200
_BELOW_ALL = -(1 << 63)


def append(manifest: Manifest, verdicts: Sequence[Verdict]) -> None:
    """Add verdicts to the log, all or none; on disk when it returns.

    Images may be added and removed meanwhile: the manifest takes one change after the other.

    Raises:
        StorageFull: There is no room; nothing changed.
        LibraryDamaged: The log is not what was written.
    """
    if not verdicts:
        return
    with manifest.changing() as db:
        db.execute(_TABLE)
        last = db.execute("SELECT digest FROM verdicts ORDER BY number DESC LIMIT 1").fetchone()
        _insert(db, verdicts, _START if last is None else bytes(last[0]))


@dataclass(frozen=True, slots=True)
class Tail:
    """Up to where a log was read.

    Attributes:
        number: Of the last entry; 0 for none.
        digest: Of it.
    """

    number: int = 0
    digest: bytes = _START


def read(manifest: Manifest) -> list[Verdict]:
    """Return all entries, oldest first; none of a library that has no log, as of an earlier release.

    Raises:
        LibraryDamaged: An entry is not what was written; `repair` keeps those that are whole.
    """
    return read_since(manifest, Tail())[0]


def read_since(manifest: Manifest, tail: Tail) -> tuple[list[Verdict], Tail, bool]:
    """Return the entries after a tail, the tail after them, and whether they are all there are: the log was begun anew.

    Raises:
        LibraryDamaged: As of `read`.
    """
    with manifest.reading() as db:
        if db.execute(_NAMED).fetchone() is None:
            return [], Tail(), tail.number > 0
        last = db.execute("SELECT digest FROM verdicts WHERE number = ?", (tail.number,)).fetchone()
        anew = tail.number > 0 and (last is None or last[0] != tail.digest)
        before = Tail() if anew else tail
        entries, number, digest = [], before.number, before.digest
        for number, (*values, held) in enumerate(_rows(db, before.number or _BELOW_ALL), before.number + 1):
            entry = _entry(values)
            if entry is None or (digest := entry.sealed(digest)) != held:
                raise LibraryDamaged(
                    f"{manifest.path}: entry {number} of the log of verdicts is not what was written; "
                    f"`simsearch repair --library {manifest.path.parent}` keeps those that are whole"
                )
            entries.append(entry)
        return entries, Tail(number, digest), anew


def whole_entries(db: sqlite3.Connection) -> tuple[list[Verdict], int]:
    """Return the entries of a damaged manifest that can be read as verdicts, and how many others were met."""
    entries, others = [], 0
    try:
        if db.execute(_NAMED).fetchone() is None:
            return [], 0
        before = _START
        for *values, digest in _rows(db):
            entry = _entry(values)
            if entry is not None and entry.sealed(before) == digest:
                entries.append(entry)
            else:
                others += 1
            before = digest if isinstance(digest, bytes) else _START
    except sqlite3.Error:
        return entries, others + 1
    return entries, others


def forget(manifest: Manifest, contents: Collection[bytes]) -> int:
    """Erase all entries on some contents, and return how many; the others are sealed anew."""
    if not contents:
        return 0
    entries = read(manifest)
    kept = [entry for entry in entries if not any(half in contents for half in entry.pair)]
    if len(kept) < len(entries):
        with manifest.changing() as db:
            db.execute("DELETE FROM verdicts")
            _insert(db, kept, _START)
    return len(entries) - len(kept)


def _insert(db: sqlite3.Connection, verdicts: Sequence[Verdict], before: bytes) -> None:
    rows = []
    for one in verdicts:
        before = one.sealed(before)
        rows.append((*one.pair, one.decision, one.by, one.time, one.distance, one.channel, before))
    db.executemany(f"INSERT INTO verdicts ({_COLUMNS}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _rows(db: sqlite3.Connection, after: int = _BELOW_ALL) -> Iterator[tuple[Any, ...]]:
    yield from db.execute(f"SELECT {_COLUMNS}, digest FROM verdicts WHERE number > ? ORDER BY number", (after,))


def _entry(values: Sequence[Any]) -> Verdict | None:
    """Return a row as a verdict; None for one that no library writes."""
    a, b, decision, by, time, distance, channel = values
    contents = all(isinstance(half, bytes) and len(half) == len(_START) for half in (a, b)) and a <= b
    texts = all(isinstance(text, str) and len(text) <= _MOST_TEXT for text in (by, time, channel or ""))
    number = distance is None or (isinstance(distance, float) and math.isfinite(distance))
    if not (contents and texts and number and decision in get_args(Decision) and len(by) <= MOST_NAME):
        return None
    return Verdict((a, b), decision, by, time, distance, channel)
