"""The body of a request as it arrives, and what becomes of one whose request is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time

from simsearch.serve.asgi.answers import Answer, Receive, Scope, Send

_SMALL = 64 << 10  # bytes of a body that is read to its end although its request was refused
_LINGER_S = 2.0  # and seconds: a connection that is closed while bytes arrive takes the answer with it


class Gone(Exception):
    """Whoever asked has gone."""


class Body:
    """The body of a request, as it arrives.

    Attributes:
        declared: Bytes that its head promises; 0 where it does not say.
        more: Whether there is more to come.
        late: Whether it did not come in time.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        self.declared = int(length) if length.isdigit() else 0
        self.chunked = b"transfer-encoding" in headers
        self.more = self.declared > 0 or self.chunked
        self.late = False
        self._receive = receive

    async def part(self, deadline: float) -> bytes:
        """Return what comes next.

        Raises:
            TimeoutError: Nothing does until the deadline.
            Gone: Whoever sent it has gone.
        """
        async with asyncio.timeout(deadline - time.monotonic()):
            message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        self.more = bool(message.get("more_body"))
        part: bytes = message.get("body", b"")
        return part


async def refuse(answer: Answer, body: Body, send: Send, most: int) -> None:
    """Send an answer at once, then take in what is still being sent, within bounds, so that the answer is read."""
    short = not body.chunked and body.declared <= _SMALL and not body.late
    await answer.send(send, more=True, close=body.more and not short)
    deadline, count = time.monotonic() + _LINGER_S, 0
    with contextlib.suppress(TimeoutError, Gone):
        while body.more and count <= most:
            count += len(await body.part(deadline))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
