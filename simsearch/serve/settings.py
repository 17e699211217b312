"""The settings of a service, with their defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simsearch.errors import InputError, shown
from simsearch.images.source import MEBIBYTES

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": MEBIBYTES, "GIB": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})\s*([KMG]?i?B)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The bounds on what a service takes on.

    Attributes:
        max_body: Bytes of one request's body.
        body_s: Seconds in which a request's body has to arrive.
        head_s: Seconds in which its head has to, from the first byte or the connection on.
        queue: Requests that are worked on or wait, at most; one more is refused.
        threads: Requests for rows, codes and ids that are answered at once; searches at one time go together.
        image_threads: Requests with pictures that are worked on at once, each with a decoding process.
        batch: Rows, codes or ids of one request.
        max_k: Matches of a query.
        poll_s: Seconds between looks at whether the library has a newer commit.
        drain_s: Seconds that requests under way have to end in after SIGTERM.
        max_pixels: Of a picture.
        lease_s: Seconds for which a reviewer has a pair, counted anew when he takes the next.
        max_pairs: Of one search for duplicates.
    """

    max_body: int = 32 * MEBIBYTES
    body_s: float = 30.0
    head_s: float = 10.0
    queue: int = 64
    threads: int = 16
    image_threads: int = 4
    batch: int = 1024
    max_k: int = 1000
    poll_s: float = 1.0
    drain_s: float = 30.0
    max_pixels: int = 100_000_000
    lease_s: float = 300.0
    max_pairs: int = 200_000

    def __post_init__(self) -> None:
        for name in ("max_body", "queue", "threads", "image_threads", "batch", "max_k", "max_pixels", "max_pairs"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)} and must be at least 1")
        for name in ("body_s", "head_s", "poll_s", "drain_s", "lease_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)} and must be a number of seconds above 0")

    @property
    def max_held(self) -> int:
        """Bytes of all bodies that are held at one time."""
        return 8 * self.max_body


def size_named(text: str) -> int:
    """Return a number of bytes from text.

    Raises:
        InputError: It is none.

    Example:
        >>> size_named("32MiB"), size_named("1000")
        (33554432, 1000)
    """
    found = _SIZE.fullmatch(text.strip())
    unit = ((found and found[2]) or "").upper().replace("KB", "KIB").replace("MB", "MIB").replace("GB", "GIB")
    if found is None:
        raise InputError(f"{shown(text)} is no size: give bytes, or as 32MiB")
    return int(found[1]) * _UNITS[unit]
