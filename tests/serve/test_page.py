"""The page for people: a form that works without script, under a strict policy, with every name escaped."""

from __future__ import annotations

import os
import re
import shutil
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import ImageOps

from simsearch.library import Library
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, make, paint
from tests.serve.conftest import READ, Served, running
from tests.serve.test_search import FORM, form
from tests.spatial.pictures import picture

POLICY = "default-src 'none'"


class Seen(HTMLParser):
    """The tags and the words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_form_is_a_plain_one_and_all_comes_from_here(served: Served) -> None:
    reply = served.ask("GET", "/")
    seen = Seen(reply.body.decode())
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["content-security-policy"].startswith(POLICY)
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "script" not in {tag for tag, _ in seen.tags}
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on") or name == "style"]
    [attributes] = [attributes for tag, attributes in seen.tags if tag == "form"]
    assert attributes == {"class": "drop", "action": "/", "method": "post", "enctype": "multipart/form-data"}
    links = [attributes.get(name) or "" for _, attributes in seen.tags for name in ("href", "src", "action")]
    assert all(link.startswith("/") for link in links if link and link != "data:,")
    assert served.ask("GET", "/page.css").headers["content-type"] == "text/css; charset=utf-8"


def test_a_picture_that_is_sent_shows_what_resembles_it(served: Served, photographs: Path) -> None:
    reply = served.ask("POST", "/", form(("image", (photographs / "0003.png").read_bytes())), kind=FORM,
                       Origin=served.url)  # fmt: skip
    seen = Seen(reply.body.decode())
    shown = [attributes["src"] for tag, attributes in seen.tags if tag == "img"]
    assert reply.status == 200
    assert str(shown[0]).startswith("data:image/jpeg;base64,"), "what was sent is shown too"
    assert shown[1] == "/v1/items/3/thumbnail"
    assert len(shown) == 1 + 10
    assert served.ask("GET", str(shown[1])).headers["content-type"] == "image/jpeg"
    assert "distance 0.0000 by js" in seen.words
    assert str(photographs / "0003.png") in seen.words
    assert "not known how often by chance" in seen.words


def test_what_cannot_be_used_is_said_on_the_page(served: Served) -> None:
    for body, status, words in (
        (form(("image", b"no picture")), 200, "The picture cannot be used, unknown_format"),
        (form(("image", b"")), 400, "Choose a picture first"),
        (form(("url", "http://example.org/a.png")), 400, "fetches nothing"),
    ):
        reply = served.ask("POST", "/", body, kind=FORM)
        assert reply.status == status
        assert words in Seen(reply.body.decode()).words
    assert served.ask("POST", "/", form(("image", b"x")), kind=FORM, Origin="http://evil.example").status == 403


def test_what_two_pictures_have_in_common_is_drawn_on_both(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    for i in range(4):
        picture(i).save(tmp_path / "photographs" / f"{i}.png")
    with Library.create(tmp_path / "library", model=[FakeExtractor(), "points"], device="cpu") as made:
        made.add(tmp_path / "photographs", settings=HERE)
    part = ImageOps.mirror(picture(1).crop((60, 40, *picture(1).size)))
    buffer = BytesIO()
    part.save(buffer, "PNG")
    with running(tmp_path / "library") as served:
        reply = served.ask("POST", "/", form(("image", buffer.getvalue())), kind=FORM)
    text = reply.body.decode()
    first = text.partition("<li>")[2].partition("</li>")[0]
    drawn = [
        np.array([point.split(",") for point in points.split()], float)
        for points in re.findall(r'<polygon points="([^"]*)"', first)
    ]
    assert "/v1/items/1/thumbnail" in first
    assert len(drawn) == 2
    in_item, in_query = drawn
    assert np.abs(in_item.min(0) - (60, 40)).max() < 12, "in the item the part begins where it was cut"
    assert np.abs(in_query.min(0)).max() < 12
    assert np.abs(in_query.max(0) - part.size).max() < 12
    assert "mirrored" in first
    assert f'viewBox="0 0 {part.width} {part.height}"' in first


def test_names_are_shown_and_never_meant(tmp_path: Path) -> None:
    paint(tmp_path / "one.png", 1)
    odd = [b"<script>alert(1)<", b"\"onerror='x", b"\xff\n&amp;", "ü図.png".encode()]
    folder = tmp_path / "odd"
    folder.mkdir()
    for i, name in enumerate(odd):
        paint(tmp_path / f"{i}.png", i)
        shutil.copyfile(tmp_path / f"{i}.png", os.fsencode(folder) + b"/" + name.replace(b"/", b""))
    with make(tmp_path / "library") as made:
        made.add(folder, settings=HERE)
    with running(tmp_path / "library") as served:
        text = served.ask("POST", "/", form(("image", (tmp_path / "one.png").read_bytes())), kind=FORM).body.decode()
    seen = Seen(text)
    assert "script" not in {tag for tag, _ in seen.tags}
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on")]
    assert len(re.findall(r"<li>", text)) == len(odd)
    assert "<script>alert(1)<" in seen.words
    assert "ü図.png" in seen.words


def test_with_tokens_the_page_wants_one_too(guarded: Served, photographs: Path) -> None:
    data = form(("image", (photographs / "0003.png").read_bytes()))
    assert guarded.ask("GET", "/").status == 401
    assert guarded.ask("POST", "/", data, kind=FORM).status == 401
    assert guarded.ask("POST", "/", data, kind=FORM, token=READ).status == 200
