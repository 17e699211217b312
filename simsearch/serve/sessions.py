"""Who has signed in on the page: a cookie that stands for a token and a name, which no browser keeps."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from simsearch.serve.tokens import Rights

COOKIE = "simsearch_session"
SECONDS = 12 * 3600
"""For which somebody is signed in."""
_MOST = 1000
_LONGEST = 4096  # bytes of a Cookie header that are read


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has signed in.

    Attributes:
        by: The name under which he decides.
        rights: What he may do.
        until: Time at which he has to sign in again.
    """

    by: str
    rights: Rights
    until: float


class Sessions:
    """Those who have signed in, by the SHA-256 of what their cookies hold; they end with the service."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    def begin(self, by: str, rights: Rights) -> str:
        """Return what a cookie has to hold for somebody to be known; of too many sessions the oldest ends."""
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[_key(secret)] = Session(by, rights, self._clock() + SECONDS)
            while len(self._sessions) > _MOST:
                self._sessions.popitem(last=False)
        return secret

    def of(self, header: bytes | None) -> Session | None:
        """Return the session that a `Cookie` header names; None where there is none, or it has ended."""
        secret = _secret_in(header)
        with self._lock:
            found = None if secret is None else self._sessions.get(_key(secret))
            if found is not None and found.until <= self._clock():
                del self._sessions[_key(secret or "")]
                return None
        return found

    def end(self, header: bytes | None) -> None:
        """End the session that a `Cookie` header names."""
        secret = _secret_in(header)
        if secret is not None:
            with self._lock:
                self._sessions.pop(_key(secret), None)


def cookie(secret: str, *, secure: bool) -> str:
    """Return the `Set-Cookie` header of a session; an empty secret takes the cookie away."""
    seconds = SECONDS if secret else 0
    more = "; Secure" if secure else ""
    return f"{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{more}"


def _secret_in(header: bytes | None) -> str | None:
    if header is None or len(header) > _LONGEST:
        return None
    try:
        found = SimpleCookie(header.decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _key(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
