"""What all pages have in common: templates, the policy under which a browser runs nothing else, and their files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from simsearch.act.page import inline
from simsearch.images.source import printable
from simsearch.serve.routes.service import rights_of, session_of

_TEMPLATES = Path(__file__).with_name("templates")
_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "cache-control": "no-store"}
_KEPT_S = 3600


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Return a page; every value is escaped."""
    given = {
        "session": session_of(request),
        "rights": rights_of(request),
        "at": request.url.path,
        "problem": None,
        **values,
    }
    return Response(_environment().get_template(template).render(given), status, _HEADERS, "text/html")


def moved(where: str) -> Response:
    """Return what leads a browser to another page after a form was sent."""
    return Response(b"", 303, {"location": where, "cache-control": "no-store"})


@cache
def style() -> str:
    """Return the style sheet: that of the pages in one file, and what only a service's have."""
    return inline.text("page.css") + _text("service.css")


@cache
def review_script() -> str:
    """Return the script of the review: the viewer of two pictures, and what keys do."""
    return f'"use strict";\n(() => {{\n{inline.text("viewer.js")}\n{_text("review.js")}}})();\n'


def asset(text: str, media: str) -> Response:
    """Return a file of the pages, which a browser keeps for a while."""
    return Response(text, media_type=media, headers={"cache-control": f"private, max-age={_KEPT_S}"})


def shown_path(path: str | None) -> str:
    """Return a path in printable characters; a word where there is none."""
    return "no file" if path is None else printable(path.encode(errors="surrogateescape"))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=ChoiceLoader([PackageLoader("simsearch.serve.pages"), PackageLoader("simsearch.act.page")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["path"] = shown_path
    return made


def _text(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
