"""The connections of a client, kept between requests; errors of the service become those of this package."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from simsearch import errors
from simsearch.errors import ImageRejected, InputError, RejectCode, ServiceError, SimsearchError, shown

_GONE = (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected)
JSON = "application/json"
_LONGEST = 1 << 30  # bytes of an answer that are believed


class Connection:
    """A service's address, a token for it, and open connections that nobody uses at the moment; safe for threads."""

    def __init__(self, url: str, *, token: str | None, timeout_s: float) -> None:
        """Make it; nothing is sent yet.

        Raises:
            InputError: The URL is none of a service, or the token is none.
        """
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except (ValueError, AttributeError) as error:
            raise InputError(f"{shown(url)} is no URL: give http://HOST:PORT") from error
        if parts.scheme not in {"http", "https"} or not host or parts.query or parts.username is not None:
            raise InputError(f"{shown(url)} is no URL of a service: give http://HOST:PORT, or https://")
        if token is not None and not (token.isascii() and token.isprintable() and token):
            raise InputError("the token must be one line of printable ASCII")
        self.url = url.rstrip("/")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._address = (host, port)
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._idle = list[http.client.HTTPConnection]()
        self._lock = threading.Lock()

    def ask(
        self, method: str, path: str, body: bytes = b"", *, media: str = "", again: bool = False
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return the body and the headers of an answer that succeeds.

        Args:
            method: Of HTTP.
            path: With its parameters.
            body: To be sent.
            media: What the body is.
            again: Whether it may be sent twice, as where a kept connection turns out to be closed.

        Raises:
            ServiceError: Nobody answers there, or not as a service does.
            SimsearchError: What the service says, as the error of that name.
        """
        headers = {**self._headers, **({"Content-Type": media} if media else {})}
        try:
            kept = self._taken() if again else None
            if kept is not None:
                with contextlib.suppress(*_GONE):  # it was closed meanwhile: on a fresh one, then
                    return self._asked(kept, method, path, body, headers, keep=again)
            fresh = self._kind(self._address[0], self._address[1], timeout=self._timeout_s)
            return self._asked(fresh, method, path, body, headers, keep=again)
        except (OSError, http.client.HTTPException) as error:
            raise ServiceError(f"no service answers at {self.url}: {str(error) or type(error).__name__}") from error

    def json(self, method: str, path: str, body: bytes = b"", **how: Any) -> dict[str, Any]:
        """Return a JSON object, as `ask`."""
        found = _object(self.ask(method, path, body, **how)[0])
        if found is None:
            raise ServiceError(f"{self.url} answers, but not as a service of simsearch does")
        return found

    def close(self) -> None:
        """Close what is kept open; a later request opens another."""
        while (kept := self._taken()) is not None:
            kept.close()

    def _taken(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _asked(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        *,
        keep: bool,
    ) -> tuple[bytes, Mapping[str, str]]:
        status = 0
        try:
            try:
                connection.request(method, self._prefix + path, body or None, headers)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None or not body:
                    raise  # else it may have refused the body, and says so
            answer = connection.getresponse()
            data, status = answer.read(_LONGEST), answer.status
        finally:
            if keep and status:
                with self._lock:
                    self._idle.append(connection)
            else:
                connection.close()
        if status >= 400:
            raise _error(status, data)
        if status >= 300:
            raise ServiceError(f"{self.url} answers {status}, and no service of simsearch sends elsewhere")
        return data, dict(answer.headers)


def _error(status: int, data: bytes) -> SimsearchError:
    told = (_object(data) or {}).get("error")
    if not isinstance(told, dict):
        return ServiceError(f"the service answers {status}")
    return error_told(told, f"the service answers {status}")


def error_told(told: Mapping[str, Any], where: str) -> SimsearchError:
    """Return what a service tells as the error of that name; another than this package has as a `ServiceError`.

    Args:
        told: Its code and message.
        where: What failed, in words.
    """
    code, message = str(told.get("code")), str(told.get("message"))
    if code == "ImageRejected" and told.get("reason") in set(RejectCode):
        return ImageRejected(RejectCode(told["reason"]), message.partition(": ")[2] or message)
    kind = getattr(errors, code, None) if code in errors.__all__ else None
    if isinstance(kind, type) and issubclass(kind, SimsearchError) and kind not in {errors.GuardRefused, ImageRejected}:
        return kind(message)
    return ServiceError(f"{where}, {code}: {message}")


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
