"""Who may ask a service: tokens for reading, deciding and writing, and the addresses that need none."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import itertools
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from simsearch.errors import InputError, shown

SHORTEST = 16  # characters of a token
_LONGEST = 4096
_SCHEME = b"bearer "


class Rights(NamedTuple):
    """What somebody may do.

    Attributes:
        reads: Ask.
        decides: Take pairs of the review, and give verdicts.
        writes: Change the library in any way.
    """

    reads: bool
    decides: bool
    writes: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a service takes, as SHA-256: what is compared is as long for any token, and tells none.

    Attributes:
        read: For asking; None where everybody may who reaches the address.
        write: For changing the library, and for all else too; None where nobody may change it.
        decide: For verdicts, which are in a log and can be taken back, and for asking; not for adding or removing. None
            where only those decide who may write.
    """

    read: bytes | None = field(default=None, repr=False)
    write: bytes | None = field(default=None, repr=False)
    decide: bytes | None = field(default=None, repr=False)

    @classmethod
    def of_files(cls, read: Path | None = None, write: Path | None = None, decide: Path | None = None) -> Tokens:
        """Return the tokens that stand in files.

        Raises:
            InputError: A file cannot be read, its token is too short or no token, or two are one.
        """
        found = [None if path is None else _digest(token_in(path).encode()) for path in (read, write, decide)]
        if any(a == b is not None for a, b in itertools.combinations(found, 2)):
            raise InputError("two files hold one token: whoever may do less could do more; give each its own")
        return cls(*found)

    @property
    def needed(self) -> bool:
        """Whether asking needs a token."""
        return any(token is not None for token in (self.read, self.write, self.decide))

    @property
    def can_decide(self) -> bool:
        """Whether anybody may give verdicts."""
        return self.write is not None or self.decide is not None

    def rights(self, header: bytes | None) -> Rights:
        """Return what an `Authorization` header allows, in a time that tells nothing of tokens.

        Without any token everybody may ask, and nobody may change anything.
        """
        given = _digest(_token_of(header))
        reads, decides, writes = (
            hmac.compare_digest(given, token or bytes(32)) for token in (self.read, self.decide, self.write)
        )
        return Rights(reads or decides or writes or not self.needed, decides or writes, writes)


def token_in(path: Path) -> str:
    """Return the token that a file holds, without the end of its line.

    Raises:
        InputError: The file cannot be read, or holds no token.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1).strip()
    except OSError as error:
        raise InputError(f"the token file {shown(path)} cannot be read: {error.strerror}") from error
    if not text.isascii() or not text.decode("ascii").isprintable() or b" " in text or len(text) > _LONGEST:
        raise InputError(f"the token file {shown(path)} must hold one word of printable ASCII")
    if len(text) < SHORTEST:
        raise InputError(
            f"the token in {shown(path)} has {len(text)} characters and must have {SHORTEST}: make one with "
            "`openssl rand -hex 32`"
        )
    return text.decode("ascii")


def require_safe(host: str, tokens: Tokens) -> None:
    """Refuse to listen where others can ask, without a token.

    Raises:
        InputError: The host is not loopback and there is no token; or there is no such host.
    """
    if not tokens.needed and not is_loopback(host):
        raise InputError(
            f"{shown(host)} can be reached by others: give --read-token FILE, or listen on 127.0.0.1 (behind a proxy)"
        )


def is_loopback(host: str) -> bool:
    """Return whether all addresses of a host are this machine's own; an empty one means every address.

    Raises:
        InputError: There is no such host.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
        (True, True, False, False)
    """
    if not host:
        return False
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise InputError(f"there is no host {shown(host)}: give an address of this machine, as 127.0.0.1") from error
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)


def _token_of(header: bytes | None) -> bytes:
    value = header or b""
    return value[len(_SCHEME) :].strip() if value[: len(_SCHEME)].lower() == _SCHEME else b""


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
