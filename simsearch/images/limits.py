"""How much one image may cost."""

from __future__ import annotations

from dataclasses import dataclass

MEGAPIXELS = 1_000_000
MEBIBYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one image, checked before the cost is paid.

    Attributes:
        max_pixels: width times height, read from the header before anything is decoded.
        max_bytes: size of the file.
        timeout_s: seconds of work on one image before its worker is killed.
    """

    max_pixels: int = 100 * MEGAPIXELS
    max_bytes: int = 256 * MEBIBYTES
    timeout_s: float = 30.0
