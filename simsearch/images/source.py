"""Where the bytes of one image lie, and reading them."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from simsearch.errors import ImageRejected, RejectCode

if TYPE_CHECKING:
    from PIL.Image import Image

BYTE_ESCAPES = range(0xDC80, 0xDD00)  # surrogateescape: how Python holds a byte that is not UTF-8


@dataclass(frozen=True, slots=True)
class Source:
    """One input: an item's identity (root, name) and where its bytes lie (file, offset, size).

    Attributes:
        root: Absolute path of the root folder, normalised, without a trailing slash.
        name: Path relative to the root; `shard.tar::member` for a member of a tar.
        file: Absolute path of the file that holds the bytes.
        offset: Where the bytes begin; 0 is a whole file, since a tar's members never begin there.
        size: How many bytes there were when the input was found.
        mtime_ns: When `file` was last changed.
        owner: Who the image belongs to, from the `owner` column of a list.
        attributes: The other columns of a list, as JSON.
        given: The picture itself where it came from memory and has no path: the bytes of a file, or RGB pixels as each
            preprocessing sees them.
        link: The last link to a folder that the path goes through below the root, None for none.
        file_id: Equal for links and hard links to one file; 0 where it is not known.
    """

    root: bytes
    name: bytes
    file: bytes
    offset: int
    size: int
    mtime_ns: int
    owner: str | None = None
    attributes: str | None = None
    link: bytes | None = field(default=None, compare=False)
    file_id: int = field(default=0, compare=False)
    given: bytes | tuple[Image, ...] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, given: bytes | tuple[Image, ...]) -> Source:
        """Return the input that a picture in memory is."""
        return cls(b"", b"", b"", 0, len(given) if isinstance(given, bytes) else 0, 0, given=given)

    def without_data(self) -> Source:
        """Return the input without its picture, which nobody needs any more."""
        return self if self.given is None else replace(self, given=None)

    @property
    def has_path(self) -> bool:
        """Whether it lies on a disk; a picture from memory does not."""
        return bool(self.root or self.name or self.file)

    @property
    def path(self) -> bytes:
        """Root and name joined."""
        return self.root.rstrip(b"/") + b"/" + self.name

    @property
    def printable(self) -> str:
        """The path on one line, safe for a terminal: other bytes and control characters escaped."""
        return printable(self.path) if self.has_path else "a picture from memory"


def printable(name: bytes) -> str:
    r"""Return a name as one line of text, with undecodable bytes, controls and invisible characters escaped.

    Example:
        >>> printable(b"caf\xc3\xa9\n\xff.jpg")
        'café\\n\\xff.jpg'
    """
    text = name.decode("utf-8", "surrogateescape")
    return text if text.isprintable() else "".join(map(_escape, text))


def as_text(path: bytes) -> tuple[str, str | None]:
    r"""Return a path as text, and in base64 when it is not UTF-8.

    Example:
        >>> as_text(b"/a\nb.jpg"), as_text(b"/\xff.jpg")
        (('/a\nb.jpg', None), ('/\\xff.jpg', 'L/8uanBn'))
    """
    try:
        return path.decode(), None
    except UnicodeDecodeError:
        return printable(path), base64.b64encode(path).decode()


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    if ord(character) in BYTE_ESCAPES:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def load_bytes(source: Source, limit: int) -> bytes:
    """Return the bytes of an input, at least one and at most `limit`.

    Raises:
        ImageRejected: Empty, too_many_bytes, or io_error when the file cannot be read or is no longer there in full.
    """
    if isinstance(source.given, bytes):
        require_size(len(source.given), limit)
        return source.given
    return read_range(source.file, offset=source.offset, size=source.size, limit=limit)


def read_range(file: bytes, *, offset: int, size: int, limit: int) -> bytes:
    """Return `size` bytes of a file from `offset`, or the whole file, as it is now, when `offset` is 0.

    Raises:
        ImageRejected: As `load_bytes`.
    """
    try:
        # O_NONBLOCK: a fifo put where the file was must not hang the reader.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as handle:  # noqa: PTH123
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ImageRejected(RejectCode.IO_ERROR, "not a regular file any more")
            wanted = size if offset else status.st_size
            require_size(wanted, limit)
            handle.seek(offset)
            data = handle.read(wanted)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageRejected):
            raise
        raise ImageRejected(RejectCode.IO_ERROR, reason(error)) from error
    if len(data) != wanted:
        raise ImageRejected(RejectCode.IO_ERROR, f"only {len(data):,} of {wanted:,} bytes could be read")
    return data


def reason(error: Exception) -> str:
    """Return what went wrong, without the number and the path that an OSError adds."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An input that cannot be used; it takes the place of the row in every stream.

    Attributes:
        source: The input.
        code: Why, from the closed list.
        message: What was wrong, for people.
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
        max_pixels: Width times height, read from the header before anything is decoded.
        max_bytes: Size of the file.
        timeout_s: Seconds of work on one image before its worker is killed.
        max_memory: Bytes of memory for one image, which a decode worker is held to (on Linux); None is 256 MiB and
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
        ImageRejected: Empty or too_many_bytes.
    """
    if not size:
        raise ImageRejected(RejectCode.EMPTY, "the file has no bytes")
    if size > limit:
        raise ImageRejected(RejectCode.TOO_MANY_BYTES, f"{size:,} bytes, the limit is {limit:,}")
