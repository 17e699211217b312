"""The outermost part of the service: who may ask, what is counted, and that whatever fails is answered in JSON."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from simsearch.errors import AccessRefused, InputError, SimsearchError
from simsearch.serve.asgi.answers import Answer, App, Message, Receive, Scope, Send, failed
from simsearch.serve.asgi.bodies import Body, refuse
from simsearch.serve.metrics import Metrics
from simsearch.serve.sessions import Sessions
from simsearch.serve.tokens import Rights, Tokens, is_loopback

OPEN = frozenset({"/livez", "/readyz", "/sign-in", "/page.css", "/review.js"})
"""Paths that say nothing of the library, and need no token."""
ASKING = frozenset({"/", "/v1/search", "/v1/search/batch", "/v1/check", "/v1/duplicates"})
"""Where a POST changes nothing."""
DECIDING = ("/review", "/v1/review", "/v1/verdicts")
"""Where, and below which, a POST gives verdicts or asks for pairs, and changes nothing else."""
PAGES = frozenset({"/", "/library", "/review"})
"""Pages for people: who may not see one is led to where he can sign in."""
_LOG = logging.getLogger("simsearch.serve")
_MOST = 1 << 20  # bytes that are read of a body whose request is refused
_NUMBER, _LIST = re.compile(r"/\d+"), re.compile(r"^/v1/lists/[^/]+")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


class Guard:
    """The service's outermost part."""

    def __init__(
        self, app: App, tokens: Tokens, sessions: Sessions, metrics: Metrics, *, routes: Collection[str]
    ) -> None:
        """Make it.

        Args:
            app: What it guards.
            tokens: Who may ask.
            sessions: Who has signed in on the page.
            metrics: Where requests are counted.
            routes: Paths that are counted by themselves, `{id}` for a number; all others together.
        """
        self._app, self._tokens, self._sessions = app, tokens, sessions
        self._metrics, self._routes = metrics, frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        began, status = time.perf_counter(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        try:
            if (refusal := self._refused(scope)) is not None:
                await refuse(_refusal(scope, *refusal), Body(scope, receive), counted, _MOST)
            else:
                await self._app(scope, receive, counted)
        except Exception as error:
            if not isinstance(error, SimsearchError):
                _LOG.exception("a defect, in answering %s %s", scope["method"], self._route(scope))
            elif failed(error).status >= 500:
                _LOG.error("%s: %s", type(error).__name__, error)
            if not status:
                await failed(error).send(counted)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count(self._route(scope), method, status, time.perf_counter() - began)

    def _route(self, scope: Scope) -> str:
        path = _NUMBER.sub("/{id}", _LIST.sub("/v1/lists/{name}", scope["path"]))
        return path if path in self._routes else "other"

    def _refused(self, scope: Scope) -> tuple[SimsearchError, int] | None:
        """Return why a request is refused, before its body is read, and with which status; None for one that is not."""
        path, headers = scope["path"], dict(scope["headers"])
        rights = self._rights(scope, headers)
        if path in OPEN:
            return None
        changes = scope["method"] not in _SAFE and path not in ASKING
        decides = any(path == here or path.startswith(f"{here}/") for here in DECIDING)
        if scope["session"] is not None and scope["method"] not in _SAFE and not is_same_site(headers):
            return AccessRefused("this request was not sent by a page of this service, and somebody has signed in"), 403
        if not rights.reads:
            return AccessRefused("this service needs a token: send `Authorization: Bearer TOKEN`"), 401
        if not self._tokens.needed and (why := _other_site(headers)):
            return InputError(why), 403
        if not changes or rights.writes or (decides and rights.decides):
            return None
        if decides and not self._tokens.can_decide:
            return AccessRefused("nobody decides here: it was started without --review-token or --write-token"), 403
        if decides:
            return AccessRefused("this token is for reading: deciding needs that of reviewers, or for writing"), 403
        if self._tokens.write is None:
            return AccessRefused("this service changes nothing: it was started without --write-token"), 403
        return AccessRefused("changing the library needs the token for writing, which this is not"), 403

    def _rights(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Rights:
        """Return what a request may do; it keeps that, and who has signed in."""
        header = headers.get(b"authorization")
        session = self._sessions.of(headers.get(b"cookie")) if header is None else None
        rights = self._tokens.rights(header) if session is None else session.rights
        scope["session"], scope["rights"] = session, rights
        return rights


def is_same_site(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request comes from a page of this service, by what only the browser itself can say."""
    told = headers.get(b"sec-fetch-site")
    if told is not None:
        return told == b"same-origin"
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"//")[2] == headers.get(b"host")


def _refusal(scope: Scope, error: SimsearchError, status: int) -> Answer:
    accepted = dict(scope["headers"]).get(b"accept", b"")
    if status == 401 and scope["method"] == "GET" and scope["path"] in PAGES and b"text/html" in accepted:
        where = f"/sign-in?to={scope['path']}"
        return Answer(303, b"", headers={"location": where, "cache-control": "no-store"})
    return failed(error, status=status)


def _other_site(headers: dict[bytes, bytes]) -> str | None:
    """Return why a request may be another site's in a browser on this machine, which needs no token; None for others.

    Pages anywhere can make a browser ask an address of its own machine, also by a name that leads to it.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    try:
        name = urlsplit(f"//{host}").hostname or ""
        page = urlsplit(headers.get(b"origin", b"").decode("latin-1")).netloc
    except ValueError:
        return "the Host or Origin of this request is none"
    if not (name == "localhost" or _is_own_address(name)):
        return "without tokens this service is asked as localhost or 127.0.0.1 alone, not by another name"
    if b"origin" in headers and page != host:
        return "without tokens this service is not asked by pages of other sites"
    return None


@lru_cache(maxsize=256)
def _is_own_address(name: str) -> bool:
    """Return whether a name is a number, and that of this machine; no server of names is asked."""
    return (":" in name or name.replace(".", "").isdigit()) and is_loopback(name)
