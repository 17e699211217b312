"""Searches over HTTP give what the library gives."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsearch.library import AddSettings, Library
from simsearch.serve.routes.question import NO_FETCHING
from tests.fake import FakeExtractor
from tests.serve.conftest import Served

BOUNDARY = "a-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def form(*fields: tuple[str, bytes | str]) -> bytes:
    """A form; bytes are files."""
    parts = []
    for name, value in fields:
        file = '; filename="a.png"\r\nContent-Type: image/png' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        parts.append(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data)
    return b"\r\n".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def told(folder: Path, *arguments: Any, by: str = "search", **how: Any) -> list[dict[str, Any]]:
    """What the library itself says."""
    with Library.open(folder, extractor=FakeExtractor(), device="cpu") as opened:
        found: list[dict[str, Any]] = getattr(opened, by)(*arguments, **how).to_list()
        return found


def unnamed(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"query", "generation"}}


def test_a_picture_as_the_body_or_in_a_form_is_searched_as_by_the_library(
    served: Served, kept: Path, photographs: Path
) -> None:
    picture = photographs / "0003.png"
    (wanted,) = told(kept, picture, k=4, settings=AddSettings(workers=0))
    as_body = served.ask("POST", "/v1/search?k=4", picture.read_bytes(), kind="image/png")
    in_form = served.ask("POST", "/v1/search", form(("k", "4"), ("image", picture.read_bytes())), kind=FORM)
    untyped = served.ask("POST", "/v1/search?k=4", picture.read_bytes())
    for reply in (as_body, in_form, untyped):
        assert reply.status == 200, reply.body
        assert unnamed(reply.json) == unnamed(wanted)
        assert reply.json["query"] is None
        assert reply.json["generation"] == 1


def test_ids_and_rows_are_searched_as_by_the_library(served: Served, kept: Path) -> None:
    ids = [2, 7, 11]
    with Library.open(kept, extractor=FakeExtractor(), device="cpu") as opened:
        rows = np.concatenate([rows for _, rows in opened.rows()]).astype(np.float32)[ids]
    by_id = told(kept, ids, by="search_items", k=3, exclude_self=True)
    by_row = told(kept, rows, by="search_rows", k=3, metric="cosine")
    assert all(one["matches"][0]["id"] != number for one, number in zip(by_id, ids, strict=True))
    reply = served.ask("POST", "/v1/search/batch", {"ids": ids, "k": 3, "exclude_self": True})
    assert (reply.json["answers"], reply.json["generation"]) == (by_id, 1)
    for sent in (rows.tolist(), [base64.b64encode(row.tobytes()).decode() for row in rows]):
        reply = served.ask("POST", "/v1/search/batch", {"rows": sent, "k": 3, "metric": "cosine"})
        assert reply.json["answers"] == by_row
        one = served.ask("POST", "/v1/search", {"row": sent[0], "k": 3, "metric": "cosine"})
        assert unnamed(one.json) == unnamed(by_row[0])
    one = served.ask("POST", "/v1/search", form(("id", "2"), ("k", "3"), ("exclude_self", "true")), kind=FORM)
    assert unnamed(one.json) == unnamed(by_id[0])


def test_a_picture_that_cannot_be_used_is_an_answer(served: Served) -> None:
    reply = served.ask("POST", "/v1/search", b"no picture", kind="image/png")
    assert (reply.status, reply.json["rejected"]["code"]) == (200, "unknown_format")
    assert reply.json["matches"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "InputError"),
        ({"id": 3, "row": [1.0]}, "InputError"),
        ({"id": 999}, "ItemNotFound"),
        ({"id": -1}, "InputError"),
        ({"id": 2**80}, "InputError"),
        ({"id": 3, "k": 0}, "InputError"),
        ({"id": 3, "k": 10_000_000}, "InputError"),
        ({"id": 3, "metric": "nothing"}, "MetricError"),
        ({"id": 3, "channel": "nothing"}, "InputError"),
        ({"id": 3, "views": "flips"}, "InputError"),
        ({"id": 3, "max_expected": 1.0}, "InputError"),
        ({"id": 3, "unknown": 1}, "InputError"),
        ({"row": [1.0, 2.0]}, "RowError"),
        ({"row": [0.0] * 192}, "RowError"),
        ({"row": [1e300] * 192}, "RowError"),
        ({"row": "AAAA"}, "InputError"),
        ({"code": "ff"}, "InputError"),
    ],
)
def test_what_cannot_be_asked_is_an_error_by_name(served: Served, kept: Path, body: Any, code: str) -> None:
    reply = served.ask("POST", "/v1/search", body)
    assert (reply.status, reply.error) == (404 if code == "ItemNotFound" else 400, code)
    assert str(kept) not in reply.body.decode()
    assert "Traceback" not in reply.body.decode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"id": NaN}', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"--x", "multipart/form-data"),
        (b"--x", "multipart/form-data; boundary=x"),
        (form(("image", b"x"))[:-20], FORM),
        (form(("image", b"x"), ("image", b"y")), FORM),
        (form(("other", b"x")), FORM),
        (form(("id", "1"), ("image", b"x")), FORM),
        (b"id=x", "application/x-www-form-urlencoded"),
        (b"", ""),
    ],
)
def test_what_cannot_be_read_is_an_error_by_name(served: Served, body: bytes, kind: str) -> None:
    reply = served.ask("POST", "/v1/search", body, kind=kind)
    assert (reply.status, reply.error) == (400, "InputError")


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/search", {"url": "http://127.0.0.1/"}, ""),
        ("/v1/search", {"image_url": "https://example.org/a.jpg"}, ""),
        ("/v1/search", {"code": "http://example.org/a.jpg"}, ""),
        ("/v1/search", form(("url", "file:///etc/passwd")), FORM),
        ("/v1/search", form(("image", "http://example.org/a.jpg")), FORM),
        ("/v1/search?url=http://example.org/", b"", ""),
        ("/v1/search", b"url=gopher%3A%2F%2Flocalhost%3A70", "application/x-www-form-urlencoded"),
        ("/v1/search/batch", {"urls": ["http://example.org/"]}, ""),
    ],
)
def test_no_address_is_ever_fetched(served: Served, path: str, body: Any, kind: str) -> None:
    reply = served.ask("POST", path, body, kind=kind)
    assert (reply.status, reply.json["error"]["message"]) == (400, NO_FETCHING)


def test_as_many_as_are_taken_in_one_request(served: Served) -> None:
    assert served.ask("POST", "/v1/search/batch", {"ids": [0] * 1024, "k": 1}).status == 200
    assert served.ask("POST", "/v1/search/batch", {"ids": [0] * 1025, "k": 1}).error == "InputError"
    assert served.ask("POST", "/v1/search/batch", {"ids": []}).error == "InputError"
    assert served.ask("POST", "/v1/search/batch", {"ids": [0], "codes": ["ff"]}).error == "InputError"
