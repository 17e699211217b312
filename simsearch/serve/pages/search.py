"""The page on which a picture is dropped, and what resembles it; it has no script."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from simsearch.decide.calibration import in_words
from simsearch.errors import ImageRejected, InputError
from simsearch.library import ImageList, Match
from simsearch.library.lists.coded_pictures import listed_contents
from simsearch.library.read.matches import view_remark
from simsearch.library.read.thumbnails import small_jpeg
from simsearch.serve.held_library import View
from simsearch.serve.item_facts import facts_of
from simsearch.serve.pages import html
from simsearch.serve.pages.html import page
from simsearch.serve.routes.answering import limits_of, matches_of
from simsearch.serve.routes.question import Question, one_question
from simsearch.serve.routes.service import Service
from simsearch.serve.settings import ServeSettings

router = APIRouter(include_in_schema=False)
_SIDE = 360  # pixels of the picture that was sent


@router.get("/")
async def form(request: Request) -> Response:
    """Show the form."""
    return await Service.of(request).held.ask(lambda view: _page(request, view))


@router.post("/")
async def search(request: Request) -> Response:
    """Show what resembles the picture that was sent."""
    service, body = Service.of(request), await request.body()
    return await service.held.ask(lambda view: _found(request, view, body), images=True)


@router.get("/page.css")
async def style() -> Response:
    """Give the pages' look."""
    return html.asset(html.style(), "text/css")


def _found(request: Request, view: View, body: bytes) -> Response:
    service = Service.of(request)
    settings = service.settings
    try:
        question = one_question(request.headers.get("content-type", ""), "", body)
        found = matches_of(view, question, settings)
    except InputError as error:
        return _page(request, view, status=400, problem=f"Choose a picture first: {error}.")
    answer = found[0]
    rejected = answer.rejected
    problem = None if rejected is None else f"The picture cannot be used, {rejected.code}: {rejected.message}."
    listed = _listed(view, service.held.lists.of(view.library), answer.matches)
    matches = [_told(view, match, listed) for match in answer.matches]
    sent = None if rejected is not None else _sent(question, settings)
    return _page(request, view, problem=problem, answer=answer, matches=matches, metric=found.metric, sent=sent)


def _listed(view: View, lists: Sequence[ImageList], matches: tuple[Match, ...]) -> set[int]:
    """Return the matches that a block list has, by their ids."""
    library = view.library
    snapshot = library.snapshot
    contents = {}
    for match in matches if lists else ():
        place = snapshot.by_id(match.id)
        content = None if place is None else snapshot.segments[place.segment].content(place.position)
        if content is not None:
            contents[match.id] = content
    found = listed_contents(snapshot, lists, library.list_models(), contents.values()) if contents else set()
    return {number for number, content in contents.items() if content in found}


def _sent(question: Question, settings: ServeSettings) -> dict[str, Any] | None:
    """Return the picture that was sent, small, as the page has it inside; None for a search by something else."""
    if not question.images:
        return None
    try:
        data, decoded = small_jpeg(question.images[0], side=_SIDE, limits=limits_of(settings))
    except ImageRejected:
        return None
    source = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    return {"source": source, "width": decoded.width, "height": decoded.height}


def _told(view: View, match: Match, listed: set[int]) -> dict[str, Any]:
    """Return what is shown of a match."""
    evidence = match.evidence
    common = None if evidence is None else evidence.overlap
    expected = match.expected_false_matches
    done = ", ".join([*(common.edits if common else ()), *filter(None, [view_remark(match).strip(" ()")])])
    return {
        "id": match.id,
        "path": match.path,
        "distance": f"{match.distance:.4f}",
        "worth": worth(expected, beyond_calibration=match.beyond_calibration),
        "done": done,
        "copies": len(match.copies),
        "listed": match.id in listed,
        "overlap": None if common is None else _overlap(view, match.id, common),
        "disagree": evidence is not None and evidence.disagree,
    }


def _overlap(view: View, number: int, common: Any) -> dict[str, Any] | None:
    """Return the outlines of what two pictures have in common, in pixels of each; None where the size is not known."""
    place = view.library.snapshot.by_id(number)
    facts = None if place is None else facts_of(view.library.snapshot, place)
    if facts is None or not facts["width"] or not facts["height"]:
        return None
    points = [" ".join(f"{x:.1f},{y:.1f}" for x, y in polygon) for polygon in (common.in_query, common.in_item)]
    size = {"width": facts["width"], "height": facts["height"]}
    return {**size, "in_query": points[0], "in_item": points[1], "of_query": common.of_query, "of_item": common.of_item}


def worth(expected: float | None, *, beyond_calibration: bool = False) -> str:
    """Return in words what a match is worth, by how many items would be as near by chance.

    Example:
        >>> worth(1 / 40_000), worth(7.3), worth(None)
        ('by chance in 1 in 40,000 queries', 'by chance 7.3 times in a query', 'not known how often by chance')
    """
    if expected is None:
        return "not known how often by chance"
    words = in_words(expected, beyond_calibration=beyond_calibration)
    if words.endswith(" a query"):
        return f"by chance {words.removesuffix(' a query')} times in a query"
    return f"by chance in {words}" if words != "never" else "never by chance"


def _page(request: Request, view: View, *, status: int = 200, **values: Any) -> Response:
    given = {"problem": None, "answer": None, "matches": (), "metric": "", "sent": None, **values}
    size = len(view.library)
    return page(request, "search.html", status=status, size=size, generation=view.generation, **given)
