"""The page on which people decide pairs: forms that work without script, and a script that makes them quick."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from simsearch.errors import InputError, PairTaken, ServiceBusy
from simsearch.serve.pages import html
from simsearch.serve.pages.html import moved, page
from simsearch.serve.review.queue import AHEAD
from simsearch.serve.review.reviews import pair_named
from simsearch.serve.routes.question import parsed_as
from simsearch.serve.routes.review import DuplicatesOptions, search_fields
from simsearch.serve.routes.service import Service, rights_of, session_of

router = APIRouter(include_in_schema=False)
_MOST = 1000  # characters of a field


@router.get("/review")
async def review(request: Request) -> Response:
    """Show the pair that whoever has signed in has to decide."""
    return await _page(request)


@router.post("/review")
async def act(request: Request) -> Response:
    """Do what a form says, and show the next pair."""
    session = session_of(request)
    given = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=20))
    try:
        if session is None:
            raise InputError("sign in first")
        await _do(Service.of(request), session.by, given)
    except (InputError, PairTaken, ServiceBusy) as error:
        return await _page(request, status=409 if isinstance(error, PairTaken) else 400, problem=str(error))
    return moved("/review")


@router.get("/review.js")
async def script() -> Response:
    """Give the page's script."""
    return html.asset(html.review_script(), "text/javascript")


async def _do(service: Service, by: str, given: dict[str, str]) -> None:
    reviews, what = service.reviews, given.get("do", "")
    if what == "search":
        names = ("max_distance", "max_false_pairs", "channel", "views")
        await reviews.fill(
            parsed_as(DuplicatesOptions, {name: given[name] for name in names if given.get(name)}).asked()
        )
    elif what == "undo":
        await reviews.undo(by)
    elif what == "skip":
        await reviews.skip(by, _pair(given))
    elif what in {"confirm", "reject"}:
        await reviews.decide(by, _pair(given), what)
    else:
        raise InputError("the form says nothing that can be done")


def _pair(given: dict[str, str]) -> Any:
    return pair_named(given.get("a", "")[:_MOST], given.get("b", "")[:_MOST])


async def _page(request: Request, *, status: int = 200, problem: str | None = None) -> Response:
    service, session = Service.of(request), session_of(request)
    pairs: list[dict[str, Any]] = []
    if session is not None and rights_of(request).decides:
        pairs, standing = await service.reviews.take(session.by, AHEAD)
    else:
        standing = await service.reviews.standing()
    search = None if standing.search is None else search_fields(standing.search)
    values: dict[str, Any] = {
        "pairs": pairs,
        "told": json.dumps(pairs),
        "standing": standing,
        "search": search,
        "problem": problem,
    }
    values["lease_minutes"] = service.settings.lease_s / 60
    possible = service.tokens.can_decide
    channels = [channel.name for channel in service.held.view.library.channels]
    return page(request, "review.html", status=status, **values, possible=possible, channels=channels)
