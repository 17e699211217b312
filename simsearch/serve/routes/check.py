"""Checks against block and allow lists: of pictures that are sent, of items, rows and codes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from simsearch.errors import AccessRefused, InputError
from simsearch.library import AddSettings, Checked, ImageList
from simsearch.library.lists.codes import type_of
from simsearch.serve.asgi.answers import SCHEMA, told
from simsearch.serve.held_library import View
from simsearch.serve.routes.answering import limits_of
from simsearch.serve.routes.descriptions import CHECKED, answers, listing
from simsearch.serve.routes.forms import read_form
from simsearch.serve.routes.question import FORM, JSON, Options, Question, Row, asked_of, parsed_as, pictures_in
from simsearch.serve.routes.service import Service, respond, rights_of
from simsearch.serve.settings import ServeSettings

router = APIRouter(tags=["lists"])


class CheckOptions(BaseModel):
    """How is checked; each means what it means in `Library.check`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    lists: list[str] | None = Field(None, max_length=100, description="Names of lists; by default all.")
    max_bits: int = Field(31, ge=0, le=256, description="Of PDQ, of 256.")
    max_distance: float | None = Field(None, ge=0, description="Of rows of a channel.")
    max_expected: float | None = Field(None, gt=0, description="Decide by expected false matches in one list.")
    max_fpr: float | None = Field(None, gt=0, lt=1, description="The same by the share of strangers that match.")
    count: bool | None = Field(
        None, description="Whether the flood guard counts them; by default where the token is for writing."
    )


class ToCheck(CheckOptions):
    """Items, rows or codes that are to be checked."""

    ids: list[int] | None = Field(None, description="Items, by what is stored of them.")
    codes: list[str] | None = Field(None, description="Each as `TYPE:VALUE`, as `pdq:f8f8...`.")
    rows: list[Row] | None = Field(None, description="Rows of a channel: numbers, or base64 of float32.")
    channel: str | None = Field(None, description="Of the rows; by default the library's first.")


@dataclass(frozen=True, slots=True)
class _Asked:
    options: CheckOptions
    pictures: tuple[bytes, ...] = ()
    given: ToCheck | None = None


@router.post(
    "/v1/check",
    summary="Check pictures against lists",
    openapi_extra=listing(ToCheck, {"codes": [f"pdq:{'f8' * 32}"], "lists": ["blocked"]}),
    responses=answers(CHECKED, 400, 403, 408, 413),
)
async def check(request: Request) -> Response:
    """Tell what is listed of each picture, and what each match is worth.

    Pictures are the body, or the files `image` of a form; items, rows and codes come as JSON. A picture that cannot be
    used is no error: `rejected` says why, and its digests were compared all the same. Options stand in the JSON, in the
    form, or in the URL, where `lists` is repeated.
    """
    service, body = Service.of(request), await request.body()
    kind, query = request.headers.get("content-type", ""), request.url.query
    pictures = not kind.lower().startswith(JSON)

    def work(view: View) -> Response:
        asked = _asked(kind, query, body, service.settings.batch)
        count = _counts(asked.options, allowed=rights_of(request).writes)
        lists = service.held.lists.of(view.library, asked.options.lists)
        if not lists:
            raise InputError("the library has no lists: make one first")
        return respond(_told(view, _checked(view, asked, lists, count, service.settings), counted=count))

    return await service.held.ask(work, images=pictures)


def _asked(kind: str, query: str, body: bytes, most: int) -> _Asked:
    """Return what a request asks.

    Raises:
        InputError: Nothing, too much, or several kinds at once.
    """
    if kind.partition(";")[0].strip().lower() != JSON:
        fields: list[tuple[str, str]] = parse_qsl(query, keep_blank_values=True, max_num_fields=200)
        if kind.lower().startswith(FORM):
            fields += [(name, text) for name, text in read_form(kind, body).texts.items() if text]
        given: dict[str, Any] = {name: text for name, text in fields if name != "lists"}
        if names := [text for name, text in fields if name == "lists"]:
            given["lists"] = names
        return _Asked(parsed_as(CheckOptions, given), pictures_in(kind, body, most))
    asked = asked_of(ToCheck, body)
    found = [values for values in (asked.ids, asked.codes, asked.rows) if values is not None]
    if len(found) != 1 or not 1 <= len(found[0]) <= most:
        raise InputError(f"give 1 to {most} of one of ids, codes and rows, or send pictures")
    return _Asked(asked, given=asked)


def _counts(options: CheckOptions, *, allowed: bool) -> bool:
    """Return whether the flood guard counts a check.

    Raises:
        AccessRefused: It shall, and whoever asks may change nothing.
    """
    if options.count and not allowed:
        raise AccessRefused("what is counted changes a list: send the token for writing, or leave count out")
    return allowed if options.count is None else options.count


def _checked(view: View, asked: _Asked, lists: list[ImageList], count: bool, settings: ServeSettings) -> Checked:
    names = ("max_bits", "max_distance", "max_expected", "max_fpr")
    how: dict[str, Any] = {name: getattr(asked.options, name) for name in names}
    how |= {"lists": lists, "count": count}
    if asked.given is None:
        reading = AddSettings(workers=0, limits=limits_of(settings))
        return view.library.check([io.BytesIO(data) for data in asked.pictures], settings=reading, **how)
    if asked.given.ids is not None:
        return view.library.check_items(asked.given.ids, **how)
    if asked.given.codes is not None:
        return view.library.check_codes(asked.given.codes, **how)
    return view.library.check_codes(_codes_of_rows(view, asked.given), **how)


def _codes_of_rows(view: View, given: ToCheck) -> list[str]:
    """Return rows as the codes that a list would hold of them."""
    channel = view.by(given.channel).channel
    question = Question(parsed_as(Options, {}), rows=tuple(given.rows or ()))
    rows = channel.round(question.array(channel))
    if rows.ndim != 2 or rows.shape[1] != channel.dimension:
        raise InputError(f"a row of channel {channel.name!r} has {channel.dimension} values")
    kind = type_of(channel.fingerprint)
    return [f"{kind}:{row.astype(row.dtype.newbyteorder('<')).tobytes().hex()}" for row in rows]


def _told(view: View, found: Checked, *, counted: bool) -> Any:
    return told(
        {
            "schema": SCHEMA,
            "generation": view.generation,
            "listed": found.listed,
            "answers": found.to_list(),
            "lists": found.lists,
            "not_compared": list(found.not_compared),
            "notes": list(found.notes),
            "set_aside": [list(one) for one in found.set_aside],
            "counted": counted,
        }
    )
