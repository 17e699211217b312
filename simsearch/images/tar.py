"""The members of a tar, as places in the file: nothing is unpacked, names stay bytes, damage ends the list loudly.

The standard library's reader stops silently at a damaged header, decodes names and holds every member in memory, which
a shard of a million images cannot have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 512
MAGIC = slice(257, 262)
MAX_EXTENSION = 1 << 20  # bytes of a long name or pax header that are believed
FILE_KINDS = b"\0" + b"07"
LINK_KINDS = b"12"
SKIPPED_KINDS = b"3456gKVMN"  # devices, folders, fifos, global headers, labels


class TarError(ValueError):
    """The file is no tar from some point on."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a tar.

    Attributes:
        name: As stored.
        offset: Where its bytes begin.
        size: How many there are.
        problem: Why it cannot be read in place (a link, a sparse file), or None.
    """

    name: bytes
    offset: int
    size: int
    problem: str | None = None


def is_tar(start: bytes) -> bool:
    """Return whether a file that begins so is a POSIX or GNU tar."""
    return len(start) >= BLOCK and start[MAGIC] == b"ustar" and _checksum_fits(start[:BLOCK])


def members(file: BinaryIO, length: int) -> Iterator[Member]:
    """Yield the files of a tar of `length` bytes as stored; folders, devices and labels are left out.

    Raises:
        TarError: After the members before the damage: a header that does not add up, a member beyond the end of the
            file, or no end mark.

    Reference:
        IEEE Std 1003.1-2017, pax: ustar and pax interchange formats; GNU tar's long names and base-256 numbers.
    """
    at, pending = 0, dict[bytes, bytes]()
    while True:
        file.seek(at)
        header = file.read(BLOCK)
        if len(header) == BLOCK and not any(header):
            return
        if len(header) < BLOCK or not _checksum_fits(header):
            what = "a damaged header" if len(header) == BLOCK else "no end mark"
            raise TarError(f"{what} at byte {at:,}")
        kind, size = header[156:157], _number(header[124:136])
        if kind not in _EXTENSIONS:
            size = int(pending.get(b"size", size))
        start = at + BLOCK
        at = start + -(-size // BLOCK) * BLOCK
        if size < 0 or start + size > length:
            raise TarError(f"a member of {size:,} bytes at byte {start:,} of {length:,}")
        if kind in _EXTENSIONS:
            pending |= _extension(kind, file, size)
            continue
        if kind not in SKIPPED_KINDS:
            yield Member(pending.get(b"path") or _name(header), start, size, _problem(kind, pending))
        pending = {}


_EXTENSIONS = (b"L", b"x", b"X", b"K")


def _checksum_fits(header: bytes) -> bool:
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    try:
        return _number(header[148:156]) == total
    except TarError:
        return False


def _number(field: bytes) -> int:
    """Return octal text, or base 256 when the first bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") if field[0] == 0x80 else -1
    text = field.split(b"\0")[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError as error:
        raise TarError(f"{field!r} is not a number") from error


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], b""
    if header[257:263] == b"ustar\0":  # GNU's "ustar  " keeps times where POSIX keeps the prefix
        prefix = header[345:500].split(b"\0")[0]
    return prefix + b"/" + name if prefix else name


def _problem(kind: bytes, pending: dict[bytes, bytes]) -> str | None:
    if kind in LINK_KINDS:
        return "a link inside a tar is not followed; store the file itself"
    if kind not in FILE_KINDS or any(key.startswith(b"GNU.sparse") for key in pending):
        return "a sparse or unknown kind of tar member; store it as an ordinary file"
    return None


def _extension(kind: bytes, file: BinaryIO, size: int) -> dict[bytes, bytes]:
    """Return what a header before a member says of it: its long name, or pax records."""
    if size > MAX_EXTENSION:
        raise TarError(f"an extended header of {size:,} bytes")
    text = file.read(size)
    if kind == b"L":
        return {b"path": text.split(b"\0")[0]}
    return _pax(text) if kind in (b"x", b"X") else {}


def _pax(text: bytes) -> dict[bytes, bytes]:
    records, at = dict[bytes, bytes](), 0
    while at < len(text) and text[at]:
        digits = text[at:].split(b" ", 1)[0][:20]
        if not digits.isdigit() or int(digits) < len(digits) + 3:
            raise TarError(f"a pax record of length {digits!r}")
        key, _, value = text[at + len(digits) + 1 : at + int(digits) - 1].partition(b"=")
        if key == b"size" and not value.isdigit():
            raise TarError(f"a pax size of {value[:20]!r}")
        records[key] = value
        at += int(digits)
    return records
