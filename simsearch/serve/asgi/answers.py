"""JSON answers, and errors as such: a code of `simsearch.errors`, a message, and nothing of the server's insides."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from simsearch.errors import (
    AccessRefused,
    BodyRefused,
    DependencyMissing,
    ImageRejected,
    InputError,
    ItemNotFound,
    LibraryLocked,
    PairTaken,
    SearchRunning,
    ServiceBusy,
    ServiceError,
    SimsearchError,
    StorageFull,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCHEMA = 1
AGAIN_S = 1
"""Seconds after which whoever was refused may ask again."""
_STATUS: tuple[tuple[type[SimsearchError], int], ...] = (
    *((ItemNotFound, 404), (ImageRejected, 422), (InputError, 400), (AccessRefused, 403), (BodyRefused, 413)),
    *(
        (SearchRunning, 409),
        (ServiceBusy, 503),
        (LibraryLocked, 409),
        (PairTaken, 409),
        (StorageFull, 507),
        (DependencyMissing, 501),
    ),
)
_OWN = 500  # status from which on it is the service's fault, and logged


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is ready to be sent.

    Attributes:
        status: Of HTTP.
        body: Its bytes.
        media: What these are.
        headers: Further ones.
    """

    status: int
    body: bytes
    media: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, *, close: bool = False) -> Message:
        """Return the message that begins it; `close` announces that the connection ends."""
        fields = {"content-type": self.media, "content-length": str(len(self.body)), **self.headers}
        if close:
            fields["connection"] = "close"
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields.items()]
        return {"type": "http.response.start", "status": self.status, "headers": headers}

    async def send(self, send: Send, *, more: bool = False, close: bool = False) -> None:
        """Send it; with `more` the last message is left to the caller."""
        await send(self.head(close=close))
        await send({"type": "http.response.body", "body": self.body, "more_body": more})


def told(value: Mapping[str, Any], status: int = 200) -> Answer:
    """Return a JSON object as an answer."""
    return Answer(status, json.dumps(value, allow_nan=False).encode())


def failed(error: Exception, *, status: int | None = None) -> Answer:
    """Return an error as an answer; of what is no fault of whoever asked only the kind is told.

    Args:
        error: What went wrong.
        status: Of HTTP; by default that of the error's kind.
    """
    known = isinstance(error, SimsearchError)
    if status is None:
        status = next((number for kind, number in _STATUS if isinstance(error, kind)), _OWN)
    code = type(error).__name__ if known else "Defect"
    message = str(error)
    if not isinstance(error, (InputError, ServiceError)):  # the message may tell where things lie
        what = (type(error).__doc__ or "").split("\n", maxsplit=1)[0] if known else "The service has a defect."
        message = f"{what} The service's log says more." if status >= _OWN else what
    again = isinstance(error, (LibraryLocked, ServiceBusy))
    headers = {"retry-after": str(AGAIN_S)} if again else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    reason = {"reason": str(error.code)} if isinstance(error, ImageRejected) else {}
    told_error = {"schema": SCHEMA, "error": {"code": code, "message": message, **reason}}
    return Answer(status, json.dumps(told_error).encode(), headers=headers)
