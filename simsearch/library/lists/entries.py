"""Entries of a list: a code, and who listed it; and what changes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simsearch.errors import InputError, LibraryDamaged
from simsearch.library.lists.codes import Code

_ALIKE = 1024  # source records that are kept in both forms: entries of one file often share theirs


@dataclass(frozen=True, slots=True)
class Vote:
    """What a member of an exchange says of a code.

    Attributes:
        up: Whether it belongs on the list.
        by: Who says so.
        reason: Why not.
    """

    up: bool
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Who listed a code.

    Attributes:
        origin: The exchange, or `local`.
        id: Its own id of the record; empty where it gives none.
        time: When, as it says.
        tags: What it says of the picture.
        votes: What its members say of the code.
        withdrawn: Whether it took the code back.
    """

    origin: str
    id: str = ""
    time: str = ""
    tags: tuple[str, ...] = ()
    votes: tuple[Vote, ...] = ()
    withdrawn: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other records of a code."""
        return self.origin, self.id

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        votes = [{"up": vote.up, "by": vote.by, "reason": vote.reason} for vote in self.votes]
        facts = {"origin": self.origin, "id": self.id, "time": self.time, "tags": list(self.tags), "votes": votes}
        return facts | ({"withdrawn": True} if self.withdrawn else {})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list.

    Attributes:
        id: Its number, which no other entry of the list is ever given.
        code: What a picture is compared with.
        quality: Of a PDQ hash, 0 to 100; None where it is not known.
        sources: Who listed it, at least one.
        withdrawn: Whether all of them took it back.
    """

    id: int
    code: Code
    quality: int | None
    sources: tuple[SourceRecord, ...]
    withdrawn: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "id": self.id,
            "type": self.code.type,
            "value": self.code.value.hex(),
            "quality": self.quality,
            "state": "withdrawn" if self.withdrawn else "active",
            "sources": [source.to_dict() for source in self.sources],
        }


@dataclass(frozen=True, slots=True)
class Listed:
    """A code that a record lists.

    Attributes:
        code: The code.
        quality: Of a PDQ hash; None where it is not known.
        votes: On this code.
    """

    code: Code
    quality: int | None = None
    votes: tuple[Vote, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a record says now: it takes the place of all that the record said before.

    Attributes:
        origin: The exchange, or `local`.
        id: Its own id; empty for a record that is its code alone.
        codes: All that it lists.
        time: When.
        tags: Of the picture.
        withdrawn: Whether it takes its codes back; without codes, all that it listed before.
        erase: Whether what is taken back must be gone at once, not at the next purge.
    """

    origin: str
    id: str = ""
    codes: tuple[Listed, ...] = ()
    time: str = ""
    tags: tuple[str, ...] = ()
    withdrawn: bool = False
    erase: bool = False

    def record(self, votes: tuple[Vote, ...] = ()) -> SourceRecord:
        """Return the source record of one of its codes."""
        return SourceRecord(self.origin, self.id, self.time, self.tags, votes, self.withdrawn)


def to_json(sources: Sequence[SourceRecord]) -> str:
    """Return source records as one text, the same for the same records."""
    return _to_json(tuple(sources))


@lru_cache(maxsize=_ALIKE)
def _to_json(sources: tuple[SourceRecord, ...]) -> str:
    return json.dumps([source.to_dict() for source in sources], ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=_ALIKE)
def from_json(text: str) -> tuple[SourceRecord, ...]:
    """Return what `to_json` wrote.

    Raises:
        LibraryDamaged: It is none.
    """
    try:
        return tuple(_record(values) for values in json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LibraryDamaged(f"an entry's source record cannot be read: {error}") from error


def _record(values: dict[str, Any]) -> SourceRecord:
    votes = tuple(Vote(bool(vote["up"]), str(vote["by"]), str(vote["reason"])) for vote in values["votes"])
    origin, own, time = (str(values[name]) for name in ("origin", "id", "time"))
    return SourceRecord(origin, own, time, tuple(map(str, values["tags"])), votes, bool(values.get("withdrawn", False)))


def require_text(value: str, what: str, longest: int = 1000) -> str:
    """Return a text that fits an entry.

    Raises:
        InputError: It is too long, or no text that can be written.
    """
    if len(value) > longest:
        raise InputError(f"{what} has {len(value):,} characters, and at most {longest:,} are kept")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what} holds characters that are none") from error
    return value
