"""The page on the library: what it holds, by what it can be searched and judged, its lists and its commit."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from simsearch.serve.held_library import View
from simsearch.serve.pages.html import page
from simsearch.serve.routes.service import Service

router = APIRouter(include_in_schema=False)


@router.get("/library")
async def overview(request: Request) -> Response:
    """Show what the library holds."""
    service = Service.of(request)
    standing = await service.reviews.standing()

    def work(view: View) -> Response:
        library = view.library
        lists = [_list(one) for one in service.held.lists.of(library)]
        return page(request, "library.html", info=library.info(), lists=lists, standing=standing)

    return await service.held.ask(work)


def _list(one: Any) -> dict[str, Any]:
    facts = {"name": one.name, "kind": one.kind, "entries": len(one), "withdrawn": one.withdrawn}
    return {**facts, "types": one.types(), "set_aside": len(one.sightings.aside)}
