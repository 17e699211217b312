"""Bounds on requests: bodies counted as they arrive, and a bounded number of requests that wait or are worked on."""

from __future__ import annotations

import time

from simsearch.errors import BodyRefused, ServiceBusy
from simsearch.serve.asgi.answers import App, Message, Receive, Scope, Send, failed
from simsearch.serve.asgi.bodies import Body, Gone, refuse
from simsearch.serve.settings import ServeSettings

ALWAYS = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that are answered however much there is to do, and take no body."""


class Intake:
    """What lets requests in, whole or not at all.

    Attributes:
        inside: Requests that wait or are worked on.
        held: Bytes of bodies in memory.
    """

    def __init__(self, app: App, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings
        self.inside = 0
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = Body(scope, receive)
        try:
            if scope["path"] in ALWAYS:
                await self._app(scope, _replayed(b"", receive), send)
                return
            self._require_room()
            data = await self._read(body)
            try:
                self._require_room()
                self.inside += 1
                try:
                    await self._app(scope, _replayed(data, receive), send)
                finally:
                    self.inside -= 1
            finally:
                self.held -= len(data)
        except Gone:
            return
        except (BodyRefused, ServiceBusy) as error:
            await refuse(failed(error, status=408 if body.late else None), body, send, self._settings.max_body)

    def _require_room(self) -> None:
        if self.inside >= self._settings.queue:
            raise ServiceBusy(f"{self.inside} requests wait or are worked on, and no more are taken: ask again later")

    async def _read(self, body: Body) -> bytes:
        """Return a body whole; its bytes count as held."""
        limit, data, count = self._settings.max_body, bytearray(), 0
        if body.declared > limit:
            raise BodyRefused(f"the body has {body.declared:,} bytes, and the limit is {limit:,}")
        deadline = time.monotonic() + self._settings.body_s
        try:
            while body.more:
                part = await body.part(deadline)
                count += len(part)
                self.held += len(part)
                data += part
                if count > limit:
                    raise BodyRefused(f"the body has more than the limit of {limit:,} bytes")
                if self.held > self._settings.max_held:
                    raise ServiceBusy("the bodies of other requests fill the memory set aside: ask again later")
        except BaseException as error:
            self.held -= count
            if isinstance(error, TimeoutError):
                body.late = True
                seconds = f"{self._settings.body_s:g}"
                raise BodyRefused(f"{count:,} bytes came within {seconds} seconds, and not all") from None
            raise
        return bytes(data)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read, and then waits for the end of the connection."""
    left = [body]

    async def give() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return give
