"""Who may ask a service: tokens for reading and for writing, and the addresses that need none."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass, field
from pathlib import Path

from simsearch.errors import InputError, shown

SHORTEST = 16  # characters of a token
_LONGEST = 4096
_SCHEME = b"bearer "


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a service takes, as SHA-256: what is compared is as long for any token, and tells none.

    Attributes:
        read: For asking; None where everybody may who reaches the address.
        write: For changing the library, and for asking too; None where nobody may change it.
    """

    read: bytes | None = field(default=None, repr=False)
    write: bytes | None = field(default=None, repr=False)

    @classmethod
    def of_files(cls, read: Path | None = None, write: Path | None = None) -> Tokens:
        """Return the tokens that stand in two files.

        Raises:
            InputError: A file cannot be read, its token is too short or no token, or both are one.
        """
        tokens = cls(*(None if path is None else _digest(token_in(path).encode()) for path in (read, write)))
        if tokens.read is not None and tokens.read == tokens.write:
            raise InputError("both files hold one token: whoever may read could write; give two")
        return tokens

    @property
    def needed(self) -> bool:
        """Whether asking needs a token."""
        return self.read is not None or self.write is not None

    def rights(self, header: bytes | None) -> tuple[bool, bool]:
        """Return whether an `Authorization` header allows asking and changing, in a time that tells nothing of tokens.

        Without any token everybody may ask, and nobody may change anything.
        """
        given = _digest(_token_of(header))
        writes = hmac.compare_digest(given, self.write or bytes(32))
        reads = hmac.compare_digest(given, self.read or bytes(32))
        return reads or writes or not self.needed, writes


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
