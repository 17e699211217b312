"""A verdict: what somebody decided of two contents, whatever files hold them."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from simsearch.errors import InputError, shown

Decision = Literal["confirm", "reject", "undo"]
"""They are copies of one picture; they are not; or what was decided last no longer counts."""
Pair = tuple[bytes, bytes]
"""The SHA-256 of two contents, the lower first; equal for the files of one content."""
MOST_NAME = 200  # characters of who decided
_DIGEST_BYTES = 32
_HEX = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision.

    Attributes:
        pair: The contents.
        decision: What was decided.
        by: Who decided.
        time: When, in UTC, as ISO 8601.
        distance: Between them, as it was shown; None where none was.
        channel: Of the distance.
    """

    pair: Pair
    decision: Decision
    by: str
    time: str
    distance: float | None = None
    channel: str | None = None

    def sealed(self, before: bytes) -> bytes:
        """Return the digest of this entry behind the one with the digest `before`: the log is a chain of them."""
        values = (*(half.hex() for half in self.pair), self.decision, self.by, self.time, self.distance, self.channel)
        return hashlib.sha256(before + repr(values).encode(errors="surrogateescape")).digest()


def verdict(
    a: bytes, b: bytes, decision: str, *, by: str, distance: float | None = None, channel: str | None = None
) -> Verdict:
    """Return a verdict of now on two contents, in either order.

    Raises:
        InputError: There is no such decision, nobody is named, or a content is no SHA-256.
    """
    if decision not in get_args(Decision):
        raise InputError(f"decision {shown(decision)} is not known; give confirm, reject or undo")
    person = person_named(by)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    named: Any = decision
    return Verdict(pair_of(a, b), named, person, now, None if distance is None else float(distance), channel)


def person_named(by: str) -> str:
    """Return the name of who decides, as the log has it.

    Raises:
        InputError: Nobody is named.
    """
    if not isinstance(by, str) or not by.strip() or len(by) > MOST_NAME or not by.isprintable():
        raise InputError(f"by {shown(by)} must name who decided, in at most {MOST_NAME} printable characters")
    return by.strip()


def pair_of(a: bytes, b: bytes) -> Pair:
    """Return the key of two contents.

    Raises:
        InputError: One is no SHA-256.
    """
    for content in (a, b):
        if not isinstance(content, bytes) or len(content) != _DIGEST_BYTES or not any(content):
            raise InputError(f"{shown(content)} is no SHA-256 of a file, and only what has one can be decided")
    return (a, b) if a <= b else (b, a)


def content_of_hex(text: str) -> bytes | None:
    """Return the SHA-256 that 64 hexadecimal digits are, None for any other text."""
    return bytes.fromhex(text) if _HEX.fullmatch(text) else None


def standing(log: Iterable[Verdict]) -> Mapping[Pair, Verdict]:
    """Return the last verdict of each pair, without those that were taken back."""
    found: dict[Pair, Verdict] = {}
    for entry in log:
        if entry.decision == "undo":
            found.pop(entry.pair, None)
        else:
            found[entry.pair] = entry
    return found
