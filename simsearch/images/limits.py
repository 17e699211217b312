"""How much one image may cost."""

from __future__ import annotations

from dataclasses import dataclass

from simsearch.errors import ImageRejected, RejectCode

MEGAPIXELS = 1_000_000
MEBIBYTES = 1 << 20
# What the largest picture may need: the file, the picture in four bytes a pixel (twice where it is turned, converted or
# laid on a page) and its alpha. A picture with alpha or as print colours takes 8 to 9 bytes a pixel, one in colour 4.
BYTES_A_PIXEL = 10
BASE = 256 * MEBIBYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one image, checked before the cost is paid.

    Attributes:
        max_pixels: width times height, read from the header before anything is decoded.
        max_bytes: size of the file.
        timeout_s: seconds of work on one image before its worker is killed.
        max_memory: bytes of memory for one image, which a decode worker is held to (on Linux); None is 256 MiB and
            10 bytes for each of `max_pixels`.
    """

    max_pixels: int = 100 * MEGAPIXELS
    max_bytes: int = 256 * MEBIBYTES
    timeout_s: float = 30.0
    max_memory: int | None = None

    @property
    def memory(self) -> int:
        """Bytes of memory for one image."""
        return BASE + BYTES_A_PIXEL * self.max_pixels if self.max_memory is None else self.max_memory


def require_size(size: int, limit: int) -> None:
    """Make sure that an image has at least one byte and at most `limit`.

    Raises:
        ImageRejected: empty or too_many_bytes.
    """
    if not size:
        raise ImageRejected(RejectCode.EMPTY, "the file has no bytes")
    if size > limit:
        raise ImageRejected(RejectCode.TOO_MANY_BYTES, f"{size:,} bytes, the limit is {limit:,}")
