"""The page on the library: what it holds, by what it can be searched and judged, its lists and its commit."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response

from simsearch.errors import InputError
from simsearch.library import ImageList
from simsearch.serve.held_library import View
from simsearch.serve.pages.html import moved, page
from simsearch.serve.routes.service import Service

router = APIRouter(include_in_schema=False)
_SHOWN = 50  # entries of a list that are set aside


@router.get("/library")
async def overview(request: Request) -> Response:
    """Show what the library holds."""
    return await _page(request)


@router.post("/library")
async def release(request: Request) -> Response:
    """Let an entry go that the flood guard set aside."""
    given = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=10))
    name, entry = given.get("list", ""), given.get("entry", "")

    def work(view: View) -> Response:
        if not entry.isdecimal() or len(entry) > 18:
            raise InputError("the form names no entry")
        view.library.list(name).release([int(entry)])
        return moved("/library")

    try:
        return await Service.of(request).held.ask(work)
    except InputError as error:
        return await _page(request, status=400, problem=str(error))


async def _page(request: Request, *, status: int = 200, problem: str | None = None) -> Response:
    service = Service.of(request)
    standing = await service.reviews.standing()

    def work(view: View) -> Response:
        library = view.library
        values = {"info": library.info(), "lists": [_list(one) for one in service.held.lists.of(library)]}
        return page(request, "library.html", status=status, problem=problem, standing=standing, **values)

    return await service.held.ask(work)


def _list(one: ImageList) -> dict[str, Any]:
    seen = one.sightings
    facts = {"name": one.name, "kind": one.kind, "entries": len(one), "withdrawn": one.withdrawn, "types": one.types()}
    floods = [
        {
            "id": entry.id,
            "type": entry.code.type,
            "met": seen.counts.get(entry.id, 0),
            "source": entry.sources[0].origin,
        }
        for entry in itertools.islice(one.entries(ids=seen.aside), _SHOWN)
    ]
    return {**facts, "set_aside": len(seen.aside), "floods": floods}
