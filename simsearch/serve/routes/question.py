"""What is asked by a search: a picture, an item, a row or a code, and how."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simsearch.errors import InputError
from simsearch.library.format.channel import Channel
from simsearch.serve.routes.forms import Form, read_form

FETCHED = frozenset({"url", "urls", "uri", "image_url", "src", "href", "link"})
NO_FETCHING = "this service fetches nothing from anywhere: send the bytes of the picture, not where it lies"
JSON, FORM, TYPED = "application/json", "multipart/form-data", "application/x-www-form-urlencoded"
Row = list[float] | str
_Model = TypeVar("_Model", bound=BaseModel)


class Options(BaseModel):
    """How a search is done; each means what it means in `Library.search`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    k: int = Field(10, ge=1, description="Matches of a query.")
    channel: str | None = Field(None, description="Whose rows; by default the library's first channel.")
    metric: str | None = Field(None, description="The distance; by default what the model's card recommends.")
    max_distance: float | None = Field(None, ge=0, description="Leave out what is farther.")
    max_expected: float | None = Field(
        None, gt=0, description="Decide: at most so many items would be as near by chance."
    )
    max_fpr: float | None = Field(
        None, gt=0, lt=1, description="Decide: at most this share of strangers has a match at all."
    )
    min_quality: int = Field(0, ge=0, le=100, description="Leave out items whose quality is known to be lower.")
    group_copies: bool = Field(True, description="Items with the same bytes are one match, the others its copies.")
    exact: bool = Field(False, description="Look at every row, also where there is an index.")
    order: Literal["float32", "exact"] | None = Field(None, description="What an index's candidates are selected by.")
    exclude_self: bool = Field(False, description="Of a search by id: leave the item itself out.")
    views: str = Field("", description="Of a picture: views that are searched too: flips, turns, crops, letterbox.")
    fused: bool | None = Field(
        None,
        description="Of a picture: ask all channels; by default where there are keypoints and nothing else is set.",
    )
    for_query: bool = Field(False, description="Of a picture: decide by what is expected for this query alone.")
    normalise: bool = Field(
        False, description="Of a picture: let that be told by the distance less its mean to nearest background rows."
    )


class Asked(Options):
    """A search by id, row or code."""

    id: int | None = Field(None, ge=0, description="Of an item of the library.")
    row: Row | None = Field(None, description="A row of the channel's model: numbers, or base64 of float32.")
    code: str | None = Field(None, description="A code of a channel of bits, in hexadecimal digits.")


class AskedMany(Options):
    """Many searches by id, row or code."""

    ids: list[int] | None = Field(None, description="Of items of the library.")
    rows: list[Row] | None = Field(None, description="Rows: numbers, or base64 of float32.")
    codes: list[str] | None = Field(None, description="Codes of a channel of bits, in hexadecimal digits.")


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for: of the four, one has something.

    Attributes:
        options: How.
        images: The bytes of pictures.
        ids: Of items.
        rows: Numbers, or base64.
        codes: In hexadecimal digits.
    """

    options: Options
    images: tuple[bytes, ...] = ()
    ids: tuple[int, ...] = ()
    rows: tuple[Row, ...] = ()
    codes: tuple[str, ...] = ()

    def array(self, channel: Channel) -> NDArray[Any]:
        """Return rows or codes as the channel has them: (q, d).

        Raises:
            InputError: A code is none, or is asked of a channel of floats; or the rows are no table.
        """
        from simsearch.extract import floats_from_base64, from_hex

        packed = channel.numpy_dtype == np.uint8
        if self.codes:
            if not packed:
                raise InputError(f"channel {channel.name!r} holds rows of {channel.dtype}: ask by row, not by code")
            return from_hex(self.codes, bits=channel.bits or 8 * channel.dimension)
        if all(isinstance(row, str) for row in self.rows):
            if packed:
                raise InputError(f"channel {channel.name!r} holds bits: ask by code, in hexadecimal digits")
            return floats_from_base64([str(row) for row in self.rows], dimension=channel.dimension)
        if len({len(row) for row in self.rows}) != 1 or any(isinstance(row, str) for row in self.rows):
            raise InputError("the rows are not all of one length: give lists of numbers, or base64 of float32, for all")
        found = np.array(self.rows, np.float64)
        if packed:
            if not ((found >= 0) & (found <= 255) & (found == found.round())).all():
                raise InputError(f"a row of channel {channel.name!r} holds bytes, 0 to 255")
            return found.astype(np.uint8)
        with np.errstate(over="ignore"):  # infinite ones are refused by name
            return found.astype(np.float32)


def asked_of(model: type[_Model], body: bytes) -> _Model:
    """Return what a JSON object asks.

    Raises:
        InputError: It is none, or says what cannot be.
    """
    return parsed_as(model, _object(body) if body else {})


def parsed_as(model: type[_Model], given: Mapping[str, Any]) -> _Model:
    """Return what values by name ask.

    Raises:
        InputError: They say what cannot be.
    """
    checked: _Model = _checked(model, given)
    return checked


def one_question(content_type: str, query: str, body: bytes) -> Question:
    """Return what a single search asks: a picture as the body or in a form, or an id, a row or a code.

    Raises:
        InputError: It is none, or several at once.
    """
    kind = content_type.partition(";")[0].strip().lower()
    given: dict[str, Any] = _parameters(query)
    if kind in {JSON, FORM, TYPED}:
        form = Form({}, ())
        if kind == FORM:
            form = read_form(content_type, body)
            given |= {name: text for name, text in form.texts.items() if text}
        else:
            given |= _object(body) if kind == JSON else _parameters(body.decode("utf-8", "replace"))
        return _of_fields(given, _pictures(form))
    _refuse_urls(given)
    if not body:
        return _of_fields(given, ())
    return Question(_checked(Options, given), images=(body,))


def many_questions(query: str, body: bytes, most: int) -> Question:
    """Return what many searches by id, row or code ask.

    Raises:
        InputError: Nothing, too much, or several kinds at once.
    """
    asked = _checked(AskedMany, {**_parameters(query), **_object(body)})
    found = [(name, values) for name in ("ids", "rows", "codes") if (values := getattr(asked, name)) is not None]
    if len(found) != 1:
        raise InputError("give one of ids, rows and codes")
    ((name, values),) = found
    if not 1 <= len(values) <= most:
        raise InputError(f"{name} are {len(values)}: give 1 to {most} in one request")
    return Question(asked, **{name: tuple(values)})


def pictures_in(content_type: str, body: bytes, most: int) -> tuple[bytes, ...]:
    """Return the pictures of a request that adds: the body, or the files of a form.

    Raises:
        InputError: There are none, or too many.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        _refuse_urls(_object(body))
        raise InputError("pictures are added as bytes: send one as the body, or several as the files of a form")
    if kind == FORM:
        form = read_form(content_type, body)
        _refuse_urls(dict(form.texts))
        found = tuple(data for _, data in form.files if data)
    else:
        found = (body,) if body else ()
    if not 1 <= len(found) <= most:
        raise InputError(f"the request holds {len(found)} pictures: send 1 to {most}, as the body or in a form")
    return found


def options_of(options: Options, most_k: int, *, images: bool, items: bool = False) -> dict[str, Any]:
    """Return the arguments of `Library.search` and its kin.

    Raises:
        InputError: k is too large, or something is asked of a row that only a picture has.
    """
    if options.k > most_k:
        raise InputError(f"k is {options.k}, and this service gives {most_k} matches of a query at most")
    values = options.model_dump(include=set(Options.model_fields) - {"channel", "fused"})
    for name in ("views", "for_query", "normalise"):
        if not values[name]:
            del values[name]
        elif not images:
            raise InputError(f"{name} is for pictures: leave it out, or send one")
    if not items and values.pop("exclude_self"):
        raise InputError("exclude_self is for a search by id: a picture that is sent is no item")
    return values


def _of_fields(given: dict[str, Any], images: tuple[bytes, ...]) -> Question:
    if isinstance(row := given.get("row"), str) and row.lstrip().startswith("["):  # of a form
        given["row"] = _parsed(row.encode())
    asked = _checked(Asked, given)
    found: dict[str, Any] = {
        "images": images,
        **{f"{name}s": _some(getattr(asked, name)) for name in ("id", "row", "code")},
    }
    if sum(map(bool, found.values())) != 1 or len(images) > 1:
        raise InputError("ask by one picture, or by one of id, row and code")
    return Question(asked, **found)


def _some(value: Any) -> tuple[Any, ...]:
    return () if value is None else (value,)


def _pictures(form: Form) -> tuple[bytes, ...]:
    strange = {name for name, _ in form.files} - {"image"}
    if strange:
        raise InputError(f"the form has a file in the field {min(strange)[:80]!r}: send the picture as `image`")
    return tuple(data for _, data in form.files if data)


def _parameters(query: str) -> dict[str, Any]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise InputError(f"the parameters cannot be read: {error}") from error


def _object(body: bytes) -> dict[str, Any]:
    found = _parsed(body)
    if not isinstance(found, dict):
        raise InputError("the body is no JSON object")
    return found


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is no JSON: {error or 'too deep'}") from error


def _refuse_urls(given: Mapping[str, Any]) -> None:
    texts = (value for value in given.values() if isinstance(value, str))
    if FETCHED & {name.lower() for name in given} or any("://" in text for text in texts):
        raise InputError(NO_FETCHING)


def _checked(model: type[Any], given: Mapping[str, Any]) -> Any:
    _refuse_urls(given)
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        raise InputError("; ".join(_problems(error))) from error


def _problems(error: ValidationError) -> Iterable[str]:
    for one in error.errors(include_url=False, include_input=False)[:3]:
        where = ".".join(map(str, one["loc"]))[:80]
        yield f"{where}: {one['msg'][:200]}"
