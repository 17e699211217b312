"""Duplicates: a search in the background, and its pairs page by page."""

from __future__ import annotations

import bisect
import itertools
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from simsearch.library import Duplicates
from simsearch.serve.asgi.answers import SCHEMA, told
from simsearch.serve.routes.descriptions import DUPLICATES, answers, asking
from simsearch.serve.routes.question import asked_of
from simsearch.serve.routes.review import DuplicatesOptions, search_fields
from simsearch.serve.routes.service import Service, respond

router = APIRouter(tags=["duplicates"])
Number = Annotated[int, Path(ge=1, lt=1 << 62, description="The search's number.")]
_AT_ONCE = 1000  # pairs of one answer


@router.post(
    "/v1/duplicates",
    summary="Search for duplicates",
    status_code=202,
    openapi_extra=asking(DuplicatesOptions, {"max_false_pairs": 0.1}),
    responses=answers(None, 400, 409),
)
async def start(request: Request) -> Response:
    """Begin a search and return its number at once; one search runs at a time, another is refused with 409 meanwhile.

    Asked again while it runs, the same search is returned.
    """
    service = Service.of(request)
    asked = asked_of(DuplicatesOptions, await request.body()).asked()
    search = await service.held.ask(lambda view: service.searches.start(asked, view.library))
    return respond(told({"schema": SCHEMA, **search_fields(search)}, 202))


@router.get("/v1/duplicates/{id}", summary="How far a search is, and its pairs", responses=answers(DUPLICATES, 400))
async def search(
    request: Request,
    id: Number,
    offset: Annotated[int, Query(ge=0, lt=1 << 62, description="Pairs that are passed over.")] = 0,
    limit: Annotated[int, Query(ge=0, le=_AT_ONCE, description="Pairs, at most.")] = 100,
) -> Response:
    """Return how far a search is; once its state is done also `totals` and `pairs`, those of one group side by side.

    A pair is a file that could go with the one that is kept for it. The last four searches are kept.
    """
    service = Service.of(request)

    def work(_: Any) -> Response:
        found = service.searches.get(id)
        facts = {"schema": SCHEMA, **search_fields(found)}
        if found.found is None:
            return respond(told(facts))
        pairs = page_of(found.found, offset, limit)
        total = sum(len(group.others) for group in found.found.groups)
        return respond(told({**facts, "totals": found.found.totals(), "total_pairs": total, "pairs": pairs}))

    return await service.held.ask(work)


@router.delete("/v1/duplicates/{id}", summary="Stop a search", responses=answers({"schema": 1}, 400, 403))
async def forget(request: Request, id: Number) -> Response:
    """Stop a search that runs, and let the answer of one that is done go. Needs the token for writing."""
    Service.of(request).searches.forget(id)
    return respond(told({"schema": SCHEMA}))


def page_of(found: Duplicates, offset: int, limit: int) -> list[dict[str, Any]]:
    """Return some pairs of the groups as JSON types, in order."""
    ends = list(itertools.accumulate(len(group.others) for group in found.groups))
    number, pairs = bisect.bisect_right(ends, offset), list[dict[str, Any]]()
    at = offset - (ends[number - 1] if number else 0)
    while number < len(ends) and len(pairs) < limit:
        group = found.groups[number]
        kept = group.kept.to_dict()
        for one in group.others[at : at + limit - len(pairs)]:
            pairs.append({"group": number + 1, "kept": kept, "other": one.to_dict()})
        number, at = number + 1, 0
    return pairs
