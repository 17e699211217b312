"""The answer of a check: what is listed of each picture, and what each match is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simsearch.decide.calibration import Expected
from simsearch.images.source import Rejected
from simsearch.library.lists.entries import SourceRecord

LOW_INFORMATION, SET_ASIDE, TOO_MANY = "low_information", "set_aside", "too_many_expected"
"""Why a match does not accuse."""


@dataclass(frozen=True, slots=True)
class ListMatch:
    """One entry of a block list that a picture is like.

    Attributes:
        list: Name of the list.
        entry: Id of the entry.
        type: Of its code.
        distance: In the metric of the type; 0 for equal digests.
        bits: That differ, for codes of bits; None elsewhere.
        expected: How many entries of that list would be as near by chance; 0 for a digest, None where no rates are
            known.
        sources: Who listed it.
        decision: Whether it makes the picture a listed one.
        why_not: Where not: low_information, set_aside (by the flood guard), or too_many_expected.
    """

    list: str
    entry: int
    type: str
    distance: float
    bits: int | None
    expected: Expected | None
    sources: tuple[SourceRecord, ...]
    decision: bool
    why_not: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        worth = self.expected
        return {
            "list": self.list,
            "entry": self.entry,
            "type": self.type,
            "distance": self.distance,
            "bits": self.bits,
            "expected_false_matches": None if worth is None else worth.value,
            "expected_interval": None if worth is None else [worth.low, worth.high],
            "beyond_calibration": worth is not None and worth.beyond_calibration,
            "sources": [source.to_dict() for source in self.sources],
            "decision": self.decision,
            "why_not": self.why_not,
        }


@dataclass(frozen=True, slots=True)
class PictureCheck:
    """What is listed of one picture.

    Attributes:
        query: Its path as text; None for one from memory.
        query_b64: The path in base64 where it is not UTF-8.
        matches: Nearest first in each list; equal digests before all others.
        more: Matches that are left out of `matches`, as of a list many times over.
        allowed: Whether an allow list took matches away.
        low_information: Whether it shows too little to accuse anybody by its looks.
        rejected: Why its looks could not be compared; digests were all the same.
    """

    query: str | None
    query_b64: str | None
    matches: tuple[ListMatch, ...]
    more: int = 0
    allowed: bool = False
    low_information: bool = False
    rejected: Rejected | None = None

    @property
    def listed(self) -> bool:
        """Whether a match decides that it is."""
        return any(match.decision for match in self.matches)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        path = {} if self.query_b64 is None else {"query_b64": self.query_b64}
        bad = self.rejected
        return {
            "query": self.query,
            **path,
            "listed": self.listed,
            "matches": [match.to_dict() for match in self.matches],
            "more": self.more,
            "allowed": self.allowed,
            "low_information": self.low_information,
            "rejected": None if bad is None else {"code": str(bad.code), "message": bad.message},
        }


@dataclass(frozen=True, slots=True)
class Checked(Sequence[PictureCheck]):
    """The answers of a check, in the order of the pictures.

    Attributes:
        pictures: One answer each.
        lists: Names of the lists, with the number of their entries.
        not_compared: Entries that nothing could be compared with, or decided by, and why.
        notes: What else is to be told.
        set_aside: Entries that the flood guard set aside in this check, as list and id.
    """

    pictures: tuple[PictureCheck, ...]
    lists: dict[str, int]
    not_compared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    set_aside: tuple[tuple[str, int], ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: Any) -> Any:
        return self.pictures[index]

    def __iter__(self) -> Iterator[PictureCheck]:
        return iter(self.pictures)

    @property
    def listed(self) -> bool:
        """Whether anything is."""
        return any(one.listed for one in self.pictures)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the answers as plain values."""
        return [one.to_dict() for one in self.pictures]
