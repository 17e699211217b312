"""One input that did not become a row, and why."""

from __future__ import annotations

from dataclasses import dataclass

from simsearch.errors import RejectCode
from simsearch.images.source import Source


@dataclass(frozen=True, slots=True)
class Rejected:
    """An input that cannot be used; it takes the place of the row in every stream.

    Attributes:
        source: the input.
        code: why, from the closed list.
        message: what was wrong, for people.
    """

    source: Source
    code: RejectCode
    message: str

    def __repr__(self) -> str:
        return f"Rejected({self.source.printable}: {self.code}: {self.message})"


Found = Source | Rejected
"""What a stream of inputs yields."""


def source_of(found: Found) -> Source:
    """Return the input, also of one that was rejected."""
    return found.source if isinstance(found, Rejected) else found
