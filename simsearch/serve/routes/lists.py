"""Block and allow lists: what there are, their entries, and what is changed in them."""

from __future__ import annotations

import io
import itertools
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from simsearch.errors import InputError
from simsearch.library import AddSettings, Entry, ImageList
from simsearch.library.format.manifest_values import MOST_ID
from simsearch.serve.asgi.answers import SCHEMA, told
from simsearch.serve.held_library import View
from simsearch.serve.routes.answering import limits_of
from simsearch.serve.routes.descriptions import ENTRY, LIST, answers, asking, listing
from simsearch.serve.routes.question import JSON, asked_of, pictures_in
from simsearch.serve.routes.service import Service, respond

router = APIRouter(tags=["lists"])
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="Of the list.")]
Number = Annotated[int, Path(ge=0, lt=MOST_ID, description="The entry's id.")]
_AT_ONCE = 1000  # entries of one answer


class NewList(BaseModel):
    """A list that is to be made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(max_length=64, description="Letters, digits, `_` and `-`.")
    kind: Literal["block", "allow"] = Field(description="Whether it accuses or excuses.")
    prevalence: float | None = Field(None, ge=0, le=1, description="Share of pictures in which one entry may be met.")


class NewEntries(BaseModel):
    """Codes that are to be listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    codes: list[str] = Field(min_length=1, description="Each as `TYPE:VALUE`, as `pdq:f8f8...`.")
    tags: list[str] = Field([], max_length=100, description="What is kept beside them.")


@router.get("/v1/lists", summary="The lists", responses=answers({"schema": 1, "lists": [LIST]}))
async def lists(request: Request) -> Response:
    """Return each list with its kind, its entries by type, and how often pictures were checked against it."""
    service = Service.of(request)

    def work(view: View) -> Response:
        return respond(told({"schema": SCHEMA, "lists": [_facts(one) for one in service.held.lists.of(view.library)]}))

    return await service.held.ask(work)


@router.post(
    "/v1/lists",
    summary="Make a list",
    openapi_extra=asking(NewList, {"name": "blocked", "kind": "block"}),
    responses=answers(LIST, 400, 403),
)
async def create(request: Request) -> Response:
    """Make a list without entries. Needs the token for writing."""
    asked = asked_of(NewList, await request.body())

    def work(view: View) -> Response:
        made = view.library.create_list(asked.name, asked.kind, prevalence=asked.prevalence)
        return respond(told({"schema": SCHEMA, **_facts(made)}))

    return await Service.of(request).held.ask(work)


@router.get("/v1/lists/{name}", summary="What a list is", responses=answers(LIST, 400))
async def one_list(request: Request, name: Name) -> Response:
    """Return a list's kind, its entries by type, and how often pictures were checked against it."""
    service = Service.of(request)

    def work(view: View) -> Response:
        (one,) = service.held.lists.of(view.library, [name])
        return respond(told({"schema": SCHEMA, **_facts(one)}))

    return await service.held.ask(work)


@router.get("/v1/lists/{name}/entries", summary="Entries of a list", responses=answers({"entries": [ENTRY]}, 400))
async def entries(
    request: Request,
    name: Name,
    *,
    after: Annotated[int, Query(ge=-1, lt=MOST_ID, description="Only entries of a higher id.")] = -1,
    limit: Annotated[int, Query(ge=1, le=_AT_ONCE, description="Entries, at most.")] = _AT_ONCE,
    withdrawn: Annotated[bool, Query(description="Those too that were taken back.")] = False,
    set_aside: Annotated[bool, Query(description="Only those that the flood guard set aside.")] = False,
) -> Response:
    """Return entries in the order of their ids; `after` the last of them come the next ones."""
    service = Service.of(request)

    def work(view: View) -> Response:
        (one,) = service.held.lists.of(view.library, [name])
        ids = one.sightings.aside if set_aside else None
        found = one.entries(withdrawn=withdrawn, ids=ids, after=after)
        some = [_entry(one, entry) for entry in itertools.islice(found, limit)]
        return respond(told({"schema": SCHEMA, "entries": some}))

    return await service.held.ask(work)


@router.post(
    "/v1/lists/{name}/entries",
    summary="List codes or pictures",
    openapi_extra=listing(NewEntries, {"codes": [f"pdq:{'f8' * 32}"]}),
    responses=answers({"schema": 1, "added": 1, "updated": 0, "unchanged": 0, "withdrawn": 0}, 400, 403, 408, 413),
)
async def add(
    request: Request,
    name: Name,
    tag: Annotated[list[str] | None, Query(max_length=100, description="What is kept beside pictures.")] = None,
) -> Response:
    """List codes (JSON), or pictures by their codes (the body, or the files of a form); no picture is kept.

    Needs the token for writing.
    """
    service, body = Service.of(request), await request.body()
    kind = request.headers.get("content-type", "")
    if kind.lower().startswith(JSON):
        asked = asked_of(NewEntries, body)
        if len(asked.codes) > service.settings.batch:
            raise InputError(f"codes are {len(asked.codes)}: give at most {service.settings.batch} in one request")
        return await service.held.ask(
            lambda view: respond(
                told({"schema": SCHEMA, **asdict(view.library.list(name).add(asked.codes, tags=asked.tags))})
            )
        )

    def work(view: View) -> Response:
        pictures = [io.BytesIO(data) for data in pictures_in(kind, body, service.settings.batch)]
        settings = AddSettings(workers=0, limits=limits_of(service.settings))
        made = view.library.add_to_list(name, pictures, tags=tag or (), settings=settings)
        rejected = [{"code": str(one.code), "message": one.message} for one in made.rejected]
        facts = {"pictures": made.pictures, "left_out": dict(made.left_out), "rejected": rejected}
        return respond(told({"schema": SCHEMA, **asdict(made.changed), **facts}))

    return await service.held.ask(work, images=True)


@router.delete(
    "/v1/lists/{name}/entries/{id}",
    summary="Take an entry back",
    responses=answers({"schema": 1, "removed": 1}, 400, 403),
)
async def withdraw(
    request: Request,
    name: Name,
    id: Number,
    purge: Annotated[bool, Query(description="Erase it at once, and all that was withdrawn before.")] = False,
) -> Response:
    """Withdraw an entry: it accuses nobody, and no import lists it again. Needs the token for writing."""

    def work(view: View) -> Response:
        return respond(told({"schema": SCHEMA, "removed": view.library.list(name).remove([id], purge=purge)}))

    return await Service.of(request).held.ask(work)


@router.post(
    "/v1/lists/{name}/entries/{id}/release",
    summary="Let an entry go that the flood guard set aside",
    responses=answers({"schema": 1, "released": 1}, 400, 403),
)
async def release(request: Request, name: Name, id: Number) -> Response:
    """Let an entry accuse again, once somebody has looked; it is never set aside again."""

    def work(view: View) -> Response:
        view.library.list(name).release([id])
        return respond(told({"schema": SCHEMA, "released": 1}))

    return await Service.of(request).held.ask(work)


@router.post(
    "/v1/lists/{name}/purge", summary="Erase what was withdrawn", responses=answers({"schema": 1, "gone": 1}, 400, 403)
)
async def purge(request: Request, name: Name) -> Response:
    """Erase withdrawn entries from every file of the library. Needs the token for writing."""

    def work(view: View) -> Response:
        return respond(told({"schema": SCHEMA, "gone": view.library.list(name).purge()}))

    return await Service.of(request).held.ask(work)


def _facts(one: ImageList) -> dict[str, Any]:
    seen = one.sightings
    facts = {"name": one.name, "kind": one.kind, "entries": len(one), "withdrawn": one.withdrawn}
    counts = {"checks": seen.checks, "set_aside": len(seen.aside)}
    return {**facts, "prevalence": one.prevalence, "types": one.types(), **counts}


def _entry(one: ImageList, entry: Entry) -> dict[str, Any]:
    seen = one.sightings
    return {**entry.to_dict(), "met": seen.counts.get(entry.id, 0), "set_aside": entry.id in seen.aside}
