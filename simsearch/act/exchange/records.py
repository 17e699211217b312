"""What a file of an exchange says: records that can be taken over, and what had to be refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simsearch.errors import InputError, first_line, shown
from simsearch.library.lists.codes import PDQ, PDQ_QUALITY, code, is_blank
from simsearch.library.lists.entries import Change, Listed, Vote, require_text

MOST_BYTES = 1 << 30
MOST_RECORDS = 20_000_000
DEEPEST = 32
"""Levels of nesting in XML and JSON."""
_EXAMPLES = 3  # of each reason, that are told
_NAMES = {
    **dict.fromkeys(("pdq", "hash_pdq", "imagepdq"), PDQ),
    **dict.fromkeys(("md5", "video_md5", "photo_md5", "videomd5", "hash_md5", "hash_video_md5"), "md5"),
    **dict.fromkeys(("sha1", "hash_sha1"), "sha1"),
    **dict.fromkeys(("sha256", "video_sha256", "photo_sha256", "hash_sha256"), "sha256"),
}
_OTHERS = frozenset(
    (
        *("pdna", "photodna", "netclean", "videntifier", "tmk", "tmk_pdqf", "ssvh_pdna", "ssvh_safer_hash", "videotmk"),
        *("text", "url", "url_md5", "raw_text", "trend_query", "tlsh", "vpdq", "pdq_ocr"),
    )
)
"""Types of other exchanges that are told by name: nothing here makes such codes."""
_OPENING = re.compile(r'"(?:\\.|[^"\\])*"|[\[{]|[\]}]')


@dataclass(slots=True)
class Read:
    """What a file says.

    Attributes:
        changes: Its records, in order.
        refused: How many codes were not taken over, by the reason.
        examples: Where, for each reason, at most three.
        unknown_quality: PDQ hashes of which the quality is not told.
    """

    changes: list[Change] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    unknown_quality: int = 0

    def refuse(self, where: str, reason: str) -> None:
        """Count a code that is not taken over."""
        self.refused[reason] += 1
        told = self.examples.setdefault(reason, [])
        if len(told) < _EXAMPLES:
            told.append(where)

    def listed(
        self, where: str, kind: str, value: str, *, quality: str | int | None = None, votes: tuple[Vote, ...] = ()
    ) -> Listed | None:
        """Return a code that can be taken over; None for one that is refused.

        Args:
            where: It stands, as a line.
            kind: Its type, as the exchange calls it.
            value: Hexadecimal digits.
            quality: Of a PDQ hash; None or empty where it is not told.
            votes: On it.
        """
        name = kind.strip().lower()
        if name in _OTHERS:
            self.refuse(where, f"{name} is not compared here")
            return None
        try:
            read = code(_NAMES.get(name, name), value)
            grade = _quality(quality)
        except InputError as error:
            self.refuse(where, "no code: " + first_line(error).replace(shown(value), "a value"))
            return None
        if read.type != PDQ:
            return Listed(read, None, votes)
        if grade is not None and grade < PDQ_QUALITY:
            self.refuse(where, f"PDQ quality below {PDQ_QUALITY}")
            return None
        if is_blank(read.value):
            self.refuse(where, "the PDQ hash of a blank picture")
            return None
        self.unknown_quality += grade is None
        return Listed(read, grade, votes)

    def take(self, change: Change) -> None:
        """Keep a record.

        Raises:
            InputError: There are too many.
        """
        if len(self.changes) >= MOST_RECORDS:
            raise InputError(f"it holds more than {MOST_RECORDS:,} records: split it")
        self.changes.append(change)


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file of an exchange.

    Raises:
        InputError: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(str(path))} cannot be read: {error}") from error
    if len(data) > MOST_BYTES:
        raise InputError(f"{shown(str(path))} has more than {MOST_BYTES:,} bytes: split it")
    return data


def read_json(data: bytes) -> Any:
    """Return what a JSON file says.

    Raises:
        InputError: It is none, or nested too deep.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"it is no UTF-8: {error}") from error
    depth = 0
    for found in _OPENING.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > DEEPEST:
            raise InputError(f"it is nested deeper than {DEEPEST} levels")
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is no JSON: {first_line(error)}") from error


def short(value: Any, what: str) -> str:
    """Return a text of a record.

    Raises:
        InputError: It is none, or longer than is kept.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"{what} is {shown(value)} and must be text")
    return require_text(str(value), what)


def time_of(seconds: Any) -> str:
    """Return seconds since 1970 as text; nothing where they are none."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


def seconds_of(time: str) -> int:
    """Return text as seconds since 1970; 0 where it is no time.

    Example:
        >>> seconds_of(time_of(1_700_000_000))
        1700000000
    """
    try:
        return int(datetime.fromisoformat(time).timestamp())
    except ValueError:
        return 0


def _quality(given: str | int | None) -> int | None:
    if given is None or given == "":
        return None
    try:
        value = int(given)
    except (ValueError, TypeError) as error:
        raise InputError(f"quality {shown(given)} is no whole number") from error
    if not 0 <= value <= 100:
        raise InputError(f"quality {value} is not from 0 to 100")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")
