"""Searches: by a picture, an item, a row or a code, one or many."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from simsearch.serve.held_library import View
from simsearch.serve.routes.answering import answer_many, answer_one
from simsearch.serve.routes.descriptions import MATCHES, answers, searching, searching_many
from simsearch.serve.routes.question import JSON, TYPED, many_questions, one_question
from simsearch.serve.routes.service import Service, respond

router = APIRouter(tags=["search"])


@router.post(
    "/v1/search",
    summary="Search by one picture, item, row or code",
    openapi_extra=searching(),
    responses=answers(MATCHES, 400, 408, 413),
)
async def search(request: Request) -> Response:
    """Find what is nearest in the library: the answer is a line of `simsearch query --json`, and its commit.

    A picture is the body, or the file `image` of a form; an id, a row or a code comes as JSON or in the form. A picture
    that cannot be used is no error: the answer says why in `rejected`.
    """
    service, body = Service.of(request), await request.body()
    kind, query = request.headers.get("content-type", ""), request.url.query
    pictures = bool(body) and not kind.lower().startswith((JSON, TYPED))

    def work(view: View) -> Response:
        return respond(answer_one(view, one_question(kind, query, body), service.settings))

    return await service.held.ask(work, images=pictures)


@router.post(
    "/v1/search/batch",
    summary="Search by many items, rows or codes",
    openapi_extra=searching_many(),
    responses=answers({"schema": 1, "generation": 7, "answers": [MATCHES]}, 400, 408, 413),
)
async def search_batch(request: Request) -> Response:
    """Find what is nearest to each of many items, rows or codes; all answers are of one commit."""
    service, body = Service.of(request), await request.body()
    query = request.url.query

    def work(view: View) -> Response:
        question = many_questions(query, body, service.settings.batch)
        return respond(answer_many(view, question, service.settings))

    return await service.held.ask(work)
