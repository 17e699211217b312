"""A digest over all values of a manifest, kept in it: SQLite does not notice a value that changed on the disk."""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any

_KEY = "seal"
_SEALED = (
    "SELECT key, value FROM meta WHERE key IN ('uuid', 'generation', 'next_id', 'dropped') ORDER BY key",
    "SELECT number, path FROM roots ORDER BY number",
    "SELECT * FROM channels ORDER BY position",
    "SELECT uuid, rank, items, removed FROM segments ORDER BY rank, rowid",
    "SELECT segment, name, bytes, sha256 FROM files ORDER BY segment, name",
)


def seal(db: sqlite3.Connection) -> None:
    """Write the digest of a transaction's result."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, f"{_generation(db)} {_digest(db)}"))


def is_broken(db: sqlite3.Connection) -> bool:
    """Return whether a manifest differs from what was committed.

    One without a digest, by an earlier version, counts as whole.
    """
    row = db.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    if row is None:
        return False
    generation, _, digest = str(row[0]).partition(" ")
    return generation != str(_generation(db)) or digest != _digest(db)


def _generation(db: sqlite3.Connection) -> Any:
    row = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
    return None if row is None else row[0]


def _digest(db: sqlite3.Connection) -> str:
    whole = hashlib.sha256()
    for query in _SEALED:
        whole.update(b"\ntable\n")
        for row in db.execute(query):
            for value in row:
                data = value if isinstance(value, bytes) else str(value).encode(errors="surrogateescape")
                whole.update(f"{type(value).__name__} {len(data)} ".encode() + data)
    return whole.hexdigest()
