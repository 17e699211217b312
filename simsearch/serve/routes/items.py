"""Items: what is known of one, a small picture of it; adding pictures and removing items."""

from __future__ import annotations

import hashlib
import io
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from simsearch.library import AddReport, AddSettings, Library
from simsearch.library.format.manifest_values import MOST_ID
from simsearch.serve.asgi.answers import SCHEMA, told
from simsearch.serve.held_library import View
from simsearch.serve.item_facts import facts_of, place_of
from simsearch.serve.pictures import LARGEST, SIDE, tag, thumbnail
from simsearch.serve.routes.answering import limits_of
from simsearch.serve.routes.descriptions import ADDED, ITEM, REMOVED, adding, answers
from simsearch.serve.routes.question import pictures_in
from simsearch.serve.routes.service import Service, respond

router = APIRouter(tags=["items"])
Number = Annotated[int, Path(ge=0, lt=MOST_ID, description="The item's id.")]
KEPT_S = 3600
"""Seconds for which a browser keeps a small picture without asking again."""


@router.get("/v1/items/{id}", summary="What is known of an item", responses=answers(ITEM, 404))
async def item(request: Request, id: Number) -> Response:
    """Return path, content, size, quality, owner and attributes of an item."""
    return await Service.of(request).held.ask(lambda view: respond(told(_facts(view, id))))


@router.get(
    "/v1/items/{id}/thumbnail",
    summary="A small picture of an item",
    response_class=Response,
    responses={200: {"description": "A JPEG.", "content": {"image/jpeg": {}}}, **answers(None, 404, 422)},
)
async def small_picture(
    request: Request,
    id: Number,
    side: Annotated[int, Query(ge=16, le=LARGEST, description="Pixels of its longer side, at most.")] = SIDE,
) -> Response:
    """Return a small JPEG of an item, made from its own file while that holds what was indexed."""
    known = request.headers.get("if-none-match")

    def work(view: View) -> Response:
        same = tag(view.library, place_of(view.library.snapshot, id), side)
        headers = {"etag": same, "cache-control": f"private, max-age={KEPT_S}"}
        if known is not None and same in known:
            return Response(status_code=304, headers=headers)
        data, _ = thumbnail(view.library, id, side)
        headers["content-disposition"] = f'inline; filename="{id}.jpg"'
        headers["content-security-policy"] = "default-src 'none'"
        return Response(data, headers=headers, media_type="image/jpeg")

    return await Service.of(request).held.ask(work, images=True)


@router.post(
    "/v1/items",
    summary="Add pictures",
    openapi_extra=adding(),
    responses=answers(ADDED, 400, 403, 408, 409, 413),
)
async def add(request: Request) -> Response:
    """Add pictures that are sent, each as an item without a path, and return their ids; null for a rejected one.

    When the answer comes, all of it is on disk. A picture that was added so before stays one item. Needs the token for
    writing.
    """
    service, body = Service.of(request), await request.body()
    kind = request.headers.get("content-type", "")

    def work(library: Library) -> tuple[AddReport, list[str]]:
        pictures = pictures_in(kind, body, service.settings.batch)
        settings = AddSettings(workers=0, limits=limits_of(service.settings))
        report = library.add([io.BytesIO(data) for data in pictures], settings=settings)
        return report, [hashlib.sha256(data).hexdigest() for data in pictures]

    (report, contents), view = await service.held.write(work)
    ids = [_id_of(view, bytes.fromhex(content)) for content in contents]
    return respond(told({"schema": SCHEMA, "generation": view.generation, "ids": ids, "report": _counts(report)}))


@router.delete("/v1/items/{id}", summary="Remove an item", responses=answers(REMOVED, 403, 404, 409))
async def remove(
    request: Request,
    id: Number,
    purge: Annotated[bool, Query(description="Rewrite the files at once: nothing of it stays on disk.")] = False,
) -> Response:
    """Remove an item from the library; its image file is not touched. Needs the token for writing."""

    def work(library: Library) -> int:
        library.refresh()
        place_of(library.snapshot, id)
        return library.remove([f"id:{id}"], purge=purge)

    removed, view = await Service.of(request).held.write(work)
    return respond(told({"schema": SCHEMA, "generation": view.generation, "removed": removed}))


def _facts(view: View, number: int) -> dict[str, Any]:
    snapshot = view.library.snapshot
    return {"schema": SCHEMA, "generation": view.generation, **facts_of(snapshot, place_of(snapshot, number))}


def _id_of(view: View, content: bytes) -> int | None:
    """Return the id of the item without a path that has a content; None where there is none."""
    snapshot = view.library.snapshot
    return next((snapshot.id(place) for place in snapshot.contents(content) if snapshot.path(place) is None), None)


def _counts(report: AddReport) -> dict[str, Any]:
    names = ("added", "unchanged", "exact_copies", "replaced", "rejected")
    return {**{name: getattr(report, name) for name in names}, "codes": dict(report.codes)}
