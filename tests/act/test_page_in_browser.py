"""The page in a real browser: 60 pairs decided by keys, a reload, the file of decisions, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from simsearch.act import PagePair, match_evidence, read_decisions, write_evidence, write_page
from simsearch.images.views import view_of, views_of_kinds
from tests.act.pages import HOSTILE, jpeg, pair, pairs, side
from tests.spatial.pictures import picture

Opened = Callable[..., Any]
COUNT = 60


@contextmanager
def opened(browser: Any, path: Path, **how: Any) -> Iterator[Any]:
    """Open a page that must log no error and ask for nothing; it is closed at the end."""
    context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | how))
    shown, problems = context.new_page(), list[str]()
    shown.on("console", lambda message: problems.append(message.text))
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or problems.append(asked.url))
    shown.goto(path.as_uri())
    yield shown
    context.close()
    assert problems == []


def written(tmp_path: Path, given: list[PagePair], **more: Any) -> Path:
    how = {"title": "Duplicates", "library": "/photos", "channel": "mini", "metric": "js", "keep": "best"}
    return write_page(given, tmp_path / "page.html", **(how | more)).path


def at(page: Any, pair: int) -> None:
    page.wait_for_selector(f'body[data-pair="{pair}"]', state="attached")


def download(page: Any) -> dict[str, Any]:
    with page.expect_download() as waiting:
        page.click("#save")
    return json.loads(Path(waiting.value.path()).read_text())  # type: ignore[no-any-return]


def test_sixty_pairs_are_decided_by_keys_kept_over_a_reload_and_saved(browser: Any, tmp_path: Path) -> None:
    given = list(pairs(COUNT, others=2))
    words = {"r": "remove", "k": "keep", "n": "not-duplicates"}
    keys = [("r", "k", "n", "r")[i % 4] for i in range(COUNT)]
    with opened(browser, written(tmp_path, given)) as page:
        page.fill("#by", "Ann Reviewer")
        page.locator("#canvas").focus()
        for i, key in enumerate(keys):
            at(page, i)
            page.keyboard.press(key)
            if i == COUNT // 2:
                at(page, i + 1)
                page.reload()
        assert "60 of 60 decided" in page.inner_text("#counts")
        page.reload()
        assert "60 of 60 decided" in page.inner_text("#counts")
        told = download(page)
    assert (told["schema"], told["kind"], told["by"]) == (1, "duplicates", "Ann Reviewer")
    assert [one["verdict"] for one in told["decisions"]] == [words[key] for key in keys]
    for one, decision in zip(given, told["decisions"], strict=True):
        assert (decision["kept"], decision["other"]) == (one.kept.sha256, one.other.sha256)
        assert (decision["other_path"], decision["distance"]) == (one.other.path, one.distance)
        assert decision["channel"] == "mini"


def test_the_file_is_read_by_those_who_obey_it(browser: Any, tmp_path: Path) -> None:
    names = [b"/photos/" + name for name in HOSTILE if len(name) < 255]
    kept = side(b"/photos/kept.jpg", preview=jpeg(0))
    given = [pair(kept, side(name, preview=jpeg(1))) for name in names]
    with opened(browser, written(tmp_path, given)) as page:
        for i in range(len(given)):
            at(page, i)
            page.keyboard.press("r")
        (tmp_path / "decisions.json").write_text(json.dumps(download(page)))
    found = read_decisions(tmp_path / "decisions.json")
    assert [one.path for one in found.pairs] == names
    assert {one.word for one in found.pairs} == {"remove"}
    assert [one.other.hex() for one in found.pairs] == [one.other.sha256 for one in given]


def test_the_next_of_five_hundred_pairs_is_there_at_once(browser: Any, tmp_path: Path) -> None:
    painted = """async () => {
        const times = [];
        for (let i = 0; i < 20; i++) {
            const before = document.body.dataset.pair, start = performance.now();
            document.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true }));
            while (document.body.dataset.pair === before) await new Promise(requestAnimationFrame);
            times.push(performance.now() - start);
        }
        return times.sort((a, b) => a - b)[5];
    }"""
    with opened(browser, written(tmp_path, list(pairs(500)))) as page:
        at(page, 0)
        page.evaluate("document.body.focus()")
        assert page.evaluate(painted.replace("document.dispatchEvent", "document.body.dispatchEvent")) < 100


def test_many_are_removed_only_of_those_that_were_on_the_screen_and_pass_the_filter(
    browser: Any, tmp_path: Path
) -> None:
    with opened(browser, written(tmp_path, list(pairs(COUNT)))) as page:
        at(page, 0)
        page.click("#tab-list")
        page.wait_for_timeout(900)
        page.fill("#f-text", "sub-1/")
        page.wait_for_timeout(900)
        page.click("#bulk")
        said = page.inner_text("#ask-words")
        page.click("#ask-yes")
        told = download(page)
        page.click("#tab-one")
        page.keyboard.press("u")
        assert "0 of 60 decided" in page.inner_text("#counts")
    removed = told["decisions"]
    assert 3 <= len(removed) < COUNT / 2, "all, or none, of the pairs that pass count as seen"
    assert f"of {len(removed)} pairs" in said
    assert {one["verdict"] for one in removed} == {"remove"}
    assert all("sub-1/" in one["other_path"] for one in removed)


def test_no_file_that_stays_by_one_pair_goes_by_another(browser: Any, tmp_path: Path) -> None:
    a, b, c = (side(b"/photos/%c.jpg" % name, preview=jpeg(name)) for name in b"abc")
    given = [pair(a, b, group=1), pair(b, c, group=2), pair(c, a, group=3)]
    with opened(browser, written(tmp_path, given)) as page:
        at(page, 0)
        page.keyboard.press("r")
        for i in (1, 2):
            at(page, i)
            page.keyboard.press("r")
            assert page.inner_text("#message").startswith("Not decided: ")
            page.keyboard.press("ArrowRight")
        told = download(page)
    assert [(one["kept"], one["other"]) for one in told["decisions"]] == [(a.sha256, b.sha256)]


def test_what_cannot_go_is_refused_with_a_reason(browser: Any, tmp_path: Path) -> None:
    a = side(b"/photos/a.jpg", preview=jpeg(1))
    fixed = side(b"/photos/t.tar::b.jpg", preview=jpeg(1), fixed="it lies inside a tar")
    same, unknown = side(b"/photos/c.jpg", content=repr(b"/photos/a.jpg")), side(b"/photos/d.jpg", sha256=None)
    given = [pair(a, fixed), pair(a, same, exact=True, distance=0.0), pair(a, unknown), pair(a, a, same_file=True)]
    refused = [("r", "inside a tar"), ("n", "same bytes"), ("k", "SHA-256"), ("r", "two names")]
    with opened(browser, written(tmp_path, given)) as page:
        for i, (key, words) in enumerate(refused):
            at(page, i)
            page.keyboard.press(key)
            assert words in page.inner_text("#message")
            page.keyboard.press("ArrowRight")
        assert download(page)["decisions"] == []


def test_swapping_keeps_the_other_one_in_the_whole_group(browser: Any, tmp_path: Path) -> None:
    given = list(pairs(3, others=3))
    with opened(browser, written(tmp_path, given)) as page:
        at(page, 0)
        page.keyboard.press("s")
        for key in "rr":
            page.keyboard.press(key)
            page.wait_for_timeout(100)
        page.keyboard.press("u")
        page.keyboard.press("n")
        told = download(page)["decisions"]
    kept, others = given[0].kept.sha256, [one.other.sha256 for one in given]
    assert [(one["verdict"], one["kept"], one["other"]) for one in told] == [
        ("remove", others[0], kept),
        ("not-duplicates", others[0], others[1]),
    ]
    assert [one["distance"] for one in told] == [given[0].distance, None]


def turned(image: Image.Image, name: str) -> Image.Image:
    found = view_of(image, name)
    assert found is not None
    return found


def test_a_copy_that_is_turned_or_mirrored_is_shown_as_the_kept_one_lies(browser: Any, tmp_path: Path) -> None:
    names = [name for name in views_of_kinds("flips,turns") if name != "plain"]
    other = picture(1)
    given = []
    for name in names:
        buffer = BytesIO()
        turned(other, name).save(buffer, "JPEG", quality=95)
        kept = side(f"/photos/{name}.jpg".encode(), preview=buffer.getvalue())
        buffer = BytesIO()
        other.save(buffer, "JPEG", quality=95)
        given.append(pair(kept, side(b"/photos/other.jpg", preview=buffer.getvalue()), view=name, group=len(given)))
    with opened(browser, written(tmp_path, given)) as page:
        at(page, 0)
        page.keyboard.press("3")
        for i, name in enumerate(names):
            at(page, i)
            assert float(page.inner_text("#measure").split()[2]) < 6, name
            page.keyboard.press("s")
            page.wait_for_timeout(100)
            assert float(page.inner_text("#measure").split()[2]) < 6, f"{name}, swapped"
            page.keyboard.press("ArrowRight")


def test_a_browser_that_keeps_nothing_says_so_and_still_decides(browser: Any, tmp_path: Path) -> None:
    refuse = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    with opened(browser, written(tmp_path, list(pairs(2)))) as page:
        page.context.add_init_script(refuse)
        page.reload()
        at(page, 0)
        page.keyboard.press("r")
        assert "keeps nothing" in page.inner_text("#warning")
        assert len(download(page)["decisions"]) == 1


@pytest.mark.parametrize("width", [390, 1400])
def test_hostile_names_run_nothing_and_no_width_scrolls_sideways(browser: Any, tmp_path: Path, width: int) -> None:
    kept = side(b"/photos/" + HOSTILE[0], preview=jpeg(0))
    given = [pair(kept, side(b"/photos/" + name, preview=jpeg(1))) for name in HOSTILE]
    path = written(tmp_path, given, title=os.fsdecode(HOSTILE[1]))
    for scripts in (True, False):
        size = {"width": width, "height": 844}
        with opened(browser, path, viewport=size, java_script_enabled=scripts) as page:
            page.wait_for_timeout(200)
            for _ in range(len(given) if scripts else 1):
                if scripts:
                    page.keyboard.press("ArrowRight")
                box = page.locator("html").bounding_box()
                assert box is not None
                assert box["width"] <= width
                assert page.locator("body").evaluate("body => body.scrollWidth") <= width if scripts else True
            visible = page.locator("#pairs img").first.is_visible()
            assert visible is not scripts


def test_the_evidence_of_a_match_lays_one_picture_on_the_other(browser: Any, tmp_path: Path) -> None:
    whole = picture(1)
    whole.save(tmp_path / "whole.png")
    ImageOps.mirror(whole.crop((60, 40, *whole.size))).save(tmp_path / "part.png")
    write_evidence(match_evidence(tmp_path / "part.png", tmp_path / "whole.png", []), tmp_path / "match.html")
    with opened(browser, tmp_path / "match.html") as page:
        page.wait_for_selector("body[data-ready]", state="attached")
        page.keyboard.press("3")
        apart = float(page.inner_text("#measure").split()[2])
    assert apart < 12, "where they overlap the two are the same picture"
