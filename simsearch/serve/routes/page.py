"""The page for people: a form for a picture, and what resembles it; it works without script."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from simsearch.decide.calibration import in_words
from simsearch.errors import InputError
from simsearch.images.source import printable
from simsearch.library import Match
from simsearch.library.read.matches import view_remark
from simsearch.serve.held_library import View
from simsearch.serve.routes.answering import matches_of
from simsearch.serve.routes.question import one_question
from simsearch.serve.routes.service import Service
from simsearch.serve.settings import ServeSettings

router = APIRouter(include_in_schema=False)
TEMPLATES = Path(__file__).parents[1] / "templates"
_HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


@router.get("/")
async def page(request: Request) -> Response:
    """Show the form."""
    return await Service.of(request).held.ask(_page)


@router.post("/")
async def search(request: Request) -> Response:
    """Show what resembles the picture that was sent."""
    service, body = Service.of(request), await request.body()
    kind = request.headers.get("content-type", "")
    return await service.held.ask(lambda view: _found(view, kind, body, service.settings), images=True)


@router.get("/page.css")
async def style() -> Response:
    """Give the page's look."""
    return Response(_text("page.css"), media_type="text/css", headers={"cache-control": "private, max-age=3600"})


def _found(view: View, kind: str, body: bytes, settings: ServeSettings) -> Response:
    try:
        found = matches_of(view, one_question(kind, "", body), settings)
    except InputError as error:
        return _page(view, status=400, problem=f"Choose a picture first: {error}.")
    answer = found[0]
    rejected = answer.rejected
    problem = None if rejected is None else f"The picture cannot be used, {rejected.code}: {rejected.message}."
    matches = [_told(match) for match in answer.matches]
    return _page(view, problem=problem, answer=answer, matches=matches, metric=found.metric)


def _told(match: Match) -> dict[str, Any]:
    """Return what is shown of a match."""
    edits = match.evidence.overlap.edits if match.evidence and match.evidence.overlap else ()
    expected = match.expected_false_matches
    return {
        "id": match.id,
        "path": printable(match.path.encode(errors="surrogateescape")),
        "distance": f"{match.distance:.4f}",
        "worth": worth(expected, beyond_calibration=match.beyond_calibration),
        "done": ", ".join([*edits, *filter(None, [view_remark(match).strip(" ()")])]),
        "copies": len(match.copies),
    }


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


def _page(view: View, *, status: int = 200, **values: Any) -> Response:
    given = {"problem": None, "answer": None, "matches": (), "metric": "", **values}
    template = _templates().get_template("search.html")
    text = template.render(size=len(view.library), generation=view.generation, **given)
    return Response(text, status, _HEADERS, "text/html")


@cache
def _templates() -> Environment:
    return Environment(loader=PackageLoader("simsearch.serve"), autoescape=True, undefined=StrictUndefined)


@cache
def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
