"""Codes that a list holds: digests of a file's bytes, PDQ, and rows of a channel, each with its type and as text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simsearch.errors import InputError, shown

DIGESTS = {"md5": 16, "sha1": 20, "sha256": 32}
"""Bytes of each digest of a file; equal digests are the same file."""
PDQ = "pdq"
PDQ_BYTES = 32
PDQ_RADIUS = 31
"""Bits within which the authors of PDQ take two pictures for one."""
PDQ_QUALITY = 50
"""Quality below which its authors set a hash aside: it tells too little apart."""
CHANNEL = "channel:"
"""Before the fingerprint of a model whose rows are codes."""
_HEX = re.compile(r"[0-9a-f]+")
_FINGERPRINT = 64
_LONGEST = 1 << 17  # bytes of a row


@dataclass(frozen=True, slots=True)
class Code:
    """One code.

    Attributes:
        type: md5, sha1, sha256, pdq, or `channel:` and the fingerprint of a model.
        value: Its bytes; of a channel the row as it is stored, little-endian.
    """

    type: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.type}:{self.value.hex()}"

    @property
    def is_exact(self) -> bool:
        """Whether equal ones are the same file."""
        return self.type in DIGESTS


def code(kind: str, text: str) -> Code:
    """Return a code from its type and its hexadecimal digits.

    Raises:
        InputError: There is no such type, or the digits are not those of one.

    Example:
        >>> str(code("MD5", "D41D8CD98F00B204E9800998ECF8427E"))
        'md5:d41d8cd98f00b204e9800998ecf8427e'
    """
    name, digits = kind.strip().lower(), text.strip().lower()
    wanted = PDQ_BYTES if name == PDQ else DIGESTS.get(name)
    if wanted is None and not is_channel_type(name):
        raise InputError(f"{shown(kind)} is no type of code: use {', '.join((PDQ, *DIGESTS))} or {CHANNEL}FINGERPRINT")
    if not digits or len(digits) % 2 or not _HEX.fullmatch(digits) or len(digits) > 2 * _LONGEST:
        raise InputError(f"{shown(text)} is no {name}: it must be hexadecimal digits")
    if wanted is not None and len(digits) != 2 * wanted:
        raise InputError(f"{shown(text)} has {len(digits)} digits, and {name} has {2 * wanted}")
    return Code(name, bytes.fromhex(digits))


def parsed(text: str) -> Code:
    """Return the code that `TYPE:VALUE` writes.

    Raises:
        InputError: It writes none.
    """
    kind, colon, digits = text.rpartition(":")
    if not colon:
        raise InputError(f"{shown(text)} is no code: write TYPE:VALUE, as pdq:f8f8f0...")
    return code(kind, digits)


def is_channel_type(name: str) -> bool:
    """Return whether this is the type of a channel's rows."""
    digits = name.removeprefix(CHANNEL)
    return name.startswith(CHANNEL) and len(digits) == _FINGERPRINT and _HEX.fullmatch(digits) is not None


def type_of(fingerprint: str) -> str:
    """Return the type of the rows of a model."""
    return CHANNEL + fingerprint


def is_blank(value: bytes) -> bool:
    """Return whether a PDQ code lies within the radius of a flat picture's, which any blank picture would be near.

    Example:
        >>> is_blank(bytes(32)), is_blank(bytes(range(32)) * 1)
        (True, False)
    """
    ones = int.from_bytes(value).bit_count()
    return min(ones, 8 * PDQ_BYTES - ones) <= PDQ_RADIUS
