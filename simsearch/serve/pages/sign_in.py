"""Signing in: a token and a name, once, for pages that a browser asks without either."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from simsearch.errors import InputError
from simsearch.library.verdicts.verdict import person_named
from simsearch.serve.asgi.guard import PAGES, is_same_site
from simsearch.serve.pages.html import moved, page
from simsearch.serve.routes.service import Service, session_of
from simsearch.serve.sessions import cookie

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def form(request: Request) -> Response:
    """Show the form."""
    return _page(request, to=request.query_params.get("to", "/"))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Begin or end a session."""
    service, headers = Service.of(request), dict(request.scope["headers"])
    given = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=10))
    to = given.get("to", "/")
    if not is_same_site(headers):
        return _page(request, to=to, status=403, problem="This form was sent by another site.")
    service.sessions.end(headers.get(b"cookie"))
    secure = headers.get(b"origin", b"").startswith(b"https://")
    if "out" in given:
        return _with_cookie(moved("/sign-in"), "", secure=secure)
    header = headers.get(b"authorization") or f"Bearer {given.get('token', '').strip()}".encode("latin-1", "replace")
    rights = service.tokens.rights(header)
    try:
        by = person_named(given.get("by", ""))
    except InputError:
        return _page(request, to=to, status=400, problem="Give the name under which you decide.")
    if not rights.reads:
        return _page(request, to=to, status=401, problem="This is no token of this service.")
    secret = service.sessions.begin(by, rights)
    return _with_cookie(moved(to if to in PAGES else "/"), secret, secure=secure)


def _with_cookie(answer: Response, secret: str, *, secure: bool) -> Response:
    answer.headers["set-cookie"] = cookie(secret, secure=secure)
    return answer


def _page(request: Request, *, to: str, status: int = 200, problem: str | None = None) -> Response:
    tokens = Service.of(request).tokens
    values = {"to": to if to in PAGES else "/", "problem": problem, "needed": tokens.needed}
    return page(request, "sign_in.html", status=status, **values, name=getattr(session_of(request), "by", ""))
