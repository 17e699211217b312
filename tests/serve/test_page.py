"""The page for people: a form that works without script, under a strict policy, with every name escaped."""

from __future__ import annotations

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

from tests.library.helpers import HERE, make, paint
from tests.serve.conftest import READ, Served, running
from tests.serve.test_search import FORM, form

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
    assert attributes == {"action": "/", "method": "post", "enctype": "multipart/form-data"}
    links = [attributes.get(name) or "" for _, attributes in seen.tags for name in ("href", "src", "action")]
    assert all(link.startswith("/") for link in links if link)
    assert served.ask("GET", "/page.css").headers["content-type"] == "text/css; charset=utf-8"


def test_a_picture_that_is_sent_shows_what_resembles_it(served: Served, photographs: Path) -> None:
    reply = served.ask("POST", "/", form(("image", (photographs / "0003.png").read_bytes())), kind=FORM,
                       Origin=served.url)  # fmt: skip
    seen = Seen(reply.body.decode())
    shown = [attributes["src"] for tag, attributes in seen.tags if tag == "img"]
    assert reply.status == 200
    assert shown[0] == "/v1/items/3/thumbnail"
    assert len(shown) == 10
    assert served.ask("GET", str(shown[0])).headers["content-type"] == "image/jpeg"
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
