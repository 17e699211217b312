"""The page of a duplicates report as a file: harmless whatever the names, self-contained, bounded, whole or absent."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.act import PagePair, write_page
from simsearch.act.page.inline import inline
from simsearch.errors import InputError, StorageFull
from simsearch.images.source import as_text
from tests.act.pages import HOSTILE, Parsed, jpeg, pair, pairs, side

ELEMENTS = {"script": 1, "style": 1, "iframe": 0, "object": 0, "link": 0, "base": 0}
NAMES = st.binary(min_size=1, max_size=60).filter(lambda name: b"\0" not in name and b"/" not in name)


def page(tmp_path: Path, given: list[PagePair], **more: object) -> str:
    path = tmp_path / "page.html"
    how: dict[str, object] = {"title": "Duplicates", "library": "/l", "channel": "mini", "metric": "js"}
    write_page(given, path, **(how | more))  # type: ignore[arg-type]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.one_of(NAMES, st.sampled_from(HOSTILE)), min_size=2, max_size=4, unique=True))
def test_names_of_any_bytes_are_shown_and_do_nothing(folder: Path, names: list[bytes]) -> None:
    paths = [b"/photos/" + name for name in names]
    kept = side(paths[0], preview=jpeg(0))
    text = page(folder, [pair(kept, side(path)) for path in paths[1:]], title=as_text(names[0])[0])
    parsed = Parsed(text)
    for tag, count in ELEMENTS.items():
        assert len(parsed.named(tag)) == count, tag
    assert [(one["path"], one["path_b64"]) for one in parsed.sides] == [as_text(path) for path in paths]
    assert not any(name.startswith("on") for _, values in parsed.elements for name in values)
    shown = text.replace("\n", "")
    assert all(character.isprintable() for character in shown)
    for one in parsed.sides:
        assert one["shown"].isprintable()
        assert one["name"] in "".join(parsed.text)


@pytest.mark.parametrize("scripts", [("viewer.js", "pairs.js", "decisions.js", "list.js", "review.js")])
def test_the_policy_allows_what_stands_in_the_page_and_nothing_else(tmp_path: Path, scripts: tuple[str, ...]) -> None:
    parsed = Parsed(page(tmp_path, list(pairs(2))))
    allowed = dict(part.strip().split(" ", 1) for part in parsed.policy.split(";"))
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(parsed.inside[tag].encode()).digest()
        assert allowed[name] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    assert allowed["img-src"] == "data:"
    within = inline("page.css", *scripts)
    assert "</" not in within.script.replace("</>", "") or "</script" not in within.script
    assert "<!--" not in within.script
    assert "</style" not in within.style


def test_nothing_is_loaded_and_no_attribute_carries_style_or_script(tmp_path: Path) -> None:
    text = page(tmp_path, list(pairs(3)))
    parsed = Parsed(text)
    assert not re.findall(r"https?://", text)
    for _, values in parsed.elements:
        assert "style" not in values
        assert str(values.get("src", "data:")).startswith("data:")
        assert not str(values.get("href", "")).startswith("javascript")


def test_a_kept_picture_stands_in_the_page_once_for_its_group(tmp_path: Path) -> None:
    parsed = Parsed(page(tmp_path, list(pairs(6, others=3))))
    assert len(parsed.named("img")) == 2 + 6
    assert len(parsed.named("tbody")) == 3  # and the one that the script fills
    assert sum("data-pair" in row for row in parsed.named("tr")) == 6


def test_no_more_pairs_are_taken_than_are_shown_and_the_page_says_how_many_are_left_out(tmp_path: Path) -> None:
    taken = []

    def given() -> object:
        for one in pairs(50):
            taken.append(one)
            yield one

    written = write_page(given(), tmp_path / "p.html", title="t", library="l", total=50, most=7)  # type: ignore[arg-type]
    text = written.path.read_text()
    assert (written.pairs, written.left_out, len(taken)) == (7, 43, 7)
    assert written.bytes == written.path.stat().st_size
    assert "43 more pairs are left out" in text
    assert 'data-left-out="43"' in text


def test_reports_of_other_pairs_do_not_share_decisions(tmp_path: Path) -> None:
    def report(given: list[PagePair]) -> str:
        return re.findall(r'data-report="(\w+)"', page(tmp_path, given))[0]

    assert report(list(pairs(3))) == report(list(pairs(3)))
    assert report(list(pairs(3))) != report(list(pairs(4)))


def test_without_pairs_there_is_a_page_too(tmp_path: Path) -> None:
    assert "There is no pair to decide" in page(tmp_path, [])


def test_a_page_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")

    def stopped() -> object:
        yield from pairs(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_page(stopped(), path, title="t", library="l")  # type: ignore[arg-type]
    assert path.read_text() == "before"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        write_page(pairs(2), path, title="t", library="l")
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("name", ["photo.jpg", "folder.html", "none/page.html"])
def test_what_is_no_place_for_a_page_is_refused_and_unchanged(tmp_path: Path, name: str) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"a photograph")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(InputError):
        write_page(pairs(1), tmp_path / name, title="t", library="l")
    assert (tmp_path / "photo.jpg").read_bytes() == b"a photograph"
    with pytest.raises(InputError, match="most"):
        write_page(pairs(1), tmp_path / "page.html", title="t", library="l", most=0)
