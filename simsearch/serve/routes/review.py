"""Reviewing: pairs under leases, verdicts into the library's log, and the log itself."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from simsearch.errors import InputError
from simsearch.library import Library, Verdict
from simsearch.library.verdicts.verdict import person_named
from simsearch.serve.asgi.answers import SCHEMA, failed, told
from simsearch.serve.held_library import View
from simsearch.serve.review.queue import AHEAD
from simsearch.serve.review.reviews import Standing, pair_named
from simsearch.serve.review.searches import DuplicatesAsked, Search
from simsearch.serve.routes.descriptions import VERDICT, answers, asking
from simsearch.serve.routes.question import asked_of
from simsearch.serve.routes.service import Service, respond, session_of

router = APIRouter(tags=["review"])
_SHA256 = r"^[0-9a-fA-F]{64}$"
_AT_ONCE = 1000  # verdicts of one answer


class DuplicatesOptions(BaseModel):
    """How duplicates are searched; each means what it means in `Library.duplicates`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    channel: str | None = Field(None, description="Whose rows; by default the library's first channel.")
    metric: str | None = Field(None, description="The distance; by default the channel's.")
    max_distance: float | None = Field(None, ge=0, description="Of a pair.")
    max_false_pairs: float | None = Field(
        None, ge=0, description="Pairs of strangers to expect within the distance in all; by default about a tenth."
    )
    views: str = Field("", description="Views in which each file is also compared: flips, turns, letterbox.")
    grouping: str = Field("pairs", description="How groups are made: pairs, complete, components.")
    keep: str = Field("best", description="Which file of a group stays.")
    exact: bool = Field(False, description="Compare all pairs, also where there is an index.")
    confirmed: bool = Field(False, description="Only the pairs that somebody confirmed.")

    def asked(self) -> DuplicatesAsked:
        """Return it as a search takes it."""
        return DuplicatesAsked(**self.model_dump())


class Taking(BaseModel):
    """Who takes how many pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str | None = Field(None, max_length=200, description="Who; of somebody who has signed in, the name given then.")
    count: int = Field(1, ge=0, le=AHEAD, description="Pairs that are given, those that the person has among them.")


class Naming(Taking):
    """A pair that somebody has."""

    a: str = Field(pattern=_SHA256, description="SHA-256 of one file of the pair.")
    b: str = Field(pattern=_SHA256, description="SHA-256 of the other.")


class Deciding(Naming):
    """What somebody decided of a pair that he has."""

    decision: Literal["confirm", "reject"] = Field(description="They are copies of one picture, or they are not.")


class Stating(BaseModel):
    """A verdict on any two contents of the library."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    a: str = Field(pattern=r"^(id:[0-9]{1,18}|[0-9a-fA-F]{64})$", description="`id:N` of an item, or a SHA-256.")
    b: str = Field(pattern=r"^(id:[0-9]{1,18}|[0-9a-fA-F]{64})$", description="The other one.")
    decision: Literal["confirm", "reject", "undo"] = Field(description="As of `simsearch review`.")
    by: str | None = Field(None, max_length=200, description="Who decided.")


@router.post(
    "/v1/review",
    summary="Search for pairs to decide on",
    status_code=202,
    openapi_extra=asking(DuplicatesOptions, {"max_false_pairs": 10}),
    responses=answers(None, 400, 403, 409),
)
async def fill(request: Request) -> Response:
    """Begin a search for duplicates whose near pairs become the queue; what is decided by then is left out.

    Pairs that people have at the time stay theirs. Needs the token for reviewers, or for writing.
    """
    service = Service.of(request)
    await service.reviews.fill(asked_of(DuplicatesOptions, await request.body()).asked())
    return await _told(service, status=202)


@router.get("/v1/review", summary="How far the review is", responses=answers({}))
async def standing(request: Request) -> Response:
    """Return how many pairs are open, how many somebody has, and how far the search for more is."""
    return await _told(Service.of(request))


@router.post(
    "/v1/review/next",
    summary="Take the next pair",
    openapi_extra=asking(Taking, {"by": "Anna", "count": 1}),
    responses=answers({}, 400, 403),
)
async def take(request: Request) -> Response:
    """Return the pairs that a person has now, the first to be decided first; nobody else gets them for some minutes."""
    asked = asked_of(Taking, await request.body())
    return await _told(Service.of(request), by=_person(request, asked.by), count=asked.count)


@router.post(
    "/v1/review/decisions",
    summary="Decide a pair",
    openapi_extra=asking(Deciding, {"a": "9f" * 32, "b": "c4" * 32, "decision": "confirm", "by": "Anna", "count": 1}),
    responses=answers({}, 400, 403, 409),
)
async def decide(request: Request) -> Response:
    """Keep a verdict in the library's log, and return the next pairs; whose time is over is told so with 409."""
    asked, service = asked_of(Deciding, await request.body()), Service.of(request)
    by = _person(request, asked.by)
    await service.reviews.decide(by, pair_named(asked.a, asked.b), asked.decision)
    return await _told(service, by=by, count=asked.count)


@router.post(
    "/v1/review/undo",
    summary="Take the last verdict back",
    openapi_extra=asking(Taking, {"by": "Anna", "count": 1}),
    responses=answers({}, 400, 403, 409),
)
async def undo(request: Request) -> Response:
    """Take back what a person decided last, as often as wanted; both stay in the log, and the pair is his again."""
    asked, service = asked_of(Taking, await request.body()), Service.of(request)
    by = _person(request, asked.by)
    await service.reviews.undo(by)
    return await _told(service, by=by, count=asked.count)


@router.post(
    "/v1/review/skip",
    summary="Leave a pair for later",
    openapi_extra=asking(Naming, {"a": "9f" * 32, "b": "c4" * 32, "by": "Anna", "count": 1}),
    responses=answers({}, 400, 403, 409),
)
async def skip(request: Request) -> Response:
    """Put a pair behind all others, and return the next ones."""
    asked, service = asked_of(Naming, await request.body()), Service.of(request)
    by = _person(request, asked.by)
    await service.reviews.skip(by, pair_named(asked.a, asked.b))
    return await _told(service, by=by, count=asked.count)


@router.get("/v1/verdicts", summary="The log of verdicts", responses=answers({"verdicts": [VERDICT]}))
async def verdicts(
    request: Request,
    offset: Annotated[int, Query(ge=0, lt=1 << 62, description="Entries that are passed over.")] = 0,
    limit: Annotated[int, Query(ge=1, le=_AT_ONCE, description="Entries, at most.")] = _AT_ONCE,
) -> Response:
    """Return what people decided of pairs of contents, oldest first."""

    def work(view: View) -> Response:
        entries = view.library.verdicts()
        some = [verdict_fields(entry) for entry in entries[offset : offset + limit]]
        return respond(told({"schema": SCHEMA, "total": len(entries), "verdicts": some}))

    return await Service.of(request).held.ask(work)


@router.post(
    "/v1/verdicts",
    summary="Say what two pictures are",
    openapi_extra=asking(Stating, {"a": "id:17", "b": "id:18", "decision": "reject", "by": "Anna"}),
    responses=answers(VERDICT, 400, 403),
)
async def state(request: Request) -> Response:
    """Keep a verdict on two contents of the library, whoever has the pair; `undo` takes the last one back."""
    asked, service = asked_of(Stating, await request.body()), Service.of(request)
    by = _person(request, asked.by)

    def work(library: Library) -> Verdict:
        library.refresh()
        return library.review(asked.a, asked.b, asked.decision, by=by)

    made, _ = await service.held.write(work)
    return respond(told({"schema": SCHEMA, **verdict_fields(made)}))


def verdict_fields(entry: Verdict) -> dict[str, Any]:
    """Return a verdict as JSON types."""
    a, b = (half.hex() for half in entry.pair)
    facts = {"distance": entry.distance, "channel": entry.channel}
    return {"a": a, "b": b, "decision": entry.decision, "by": entry.by, "time": entry.time, **facts}


def search_fields(search: Search) -> dict[str, Any]:
    """Return how far a search for duplicates is as JSON types."""
    error = None if search.error is None else json.loads(failed(search.error).body)["error"]
    return {
        "search": search.number,
        "generation": search.generation,
        "state": search.state,
        "compared": search.compared,
        "of": search.of,
        "seconds": round(search.seconds, 3),
        "error": error,
    }


def standing_fields(standing: Standing, lease_s: float) -> dict[str, Any]:
    """Return how far a review is as JSON types."""
    search = None if standing.search is None else search_fields(standing.search)
    counts = {"open": standing.open, "leased": standing.leased, "decided": standing.decided}
    return {**counts, "lease_seconds": lease_s, "search": search}


def _person(request: Request, named: str | None) -> str:
    """Return who asks: whoever has signed in, or whom the request names.

    Raises:
        InputError: Nobody is named.
    """
    session = session_of(request)
    if session is not None:
        return session.by
    if named is None:
        raise InputError("by must name who decides")
    return person_named(named)


async def _told(service: Service, *, by: str | None = None, count: int = 0, status: int = 200) -> Response:
    pairs: list[dict[str, Any]] = []
    if by is None:
        standing = await service.reviews.standing()
    else:
        pairs, standing = await service.reviews.take(by, count)
    facts = standing_fields(standing, service.settings.lease_s)
    return respond(told({"schema": SCHEMA, "pairs": pairs, **facts}, status))
