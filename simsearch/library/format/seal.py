"""A digest over all values, kept beside them: neither SQLite nor JSON notices a value that changed on the disk."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from simsearch.errors import InputError

_KEY = "seal"
_SEALED = (
    "SELECT key, value FROM meta WHERE key IN ('uuid', 'generation', 'next_id', 'dropped') ORDER BY key",
    "SELECT number, path FROM roots ORDER BY number",
    "SELECT * FROM channels ORDER BY position",
    "SELECT uuid, rank, items, removed FROM segments ORDER BY rank, rowid",
    "SELECT segment, name, bytes, sha256 FROM files ORDER BY segment, name",
)


def sealed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a JSON file with a digest over them."""
    return {**fields, _KEY: _json_digest(fields)}


def unsealed(values: Any, *, required: bool = True) -> dict[str, Any]:
    """Return the fields of `sealed`.

    Args:
        values: As they were read.
        required: Whether there must be a digest; the first index records have none.

    Raises:
        InputError: They are no object, or not what was written.
    """
    if not isinstance(values, dict):
        raise InputError("it is no JSON object")
    fields = dict(values)
    found = fields.pop(_KEY, None)
    if (required or found is not None) and found != _json_digest(fields):
        raise InputError("it is not what was written: its seal differs")
    return fields


def _json_digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


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
