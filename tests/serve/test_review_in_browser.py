"""The pages in a real browser: a search by a file, pairs decided by keys, undo, a narrow screen, and no script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from simsearch.library import Library
from tests.serve.conftest import WRITE, Served, running, tokens_in
from tests.serve.near_pairs import filled, library_of_pairs, verdicts_of

COUNT = 12
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1400, "height": 900}


@pytest.fixture
def reviewed(tmp_path: Path) -> Iterator[Served]:
    folder = library_of_pairs(tmp_path, COUNT)
    with running(folder, tokens=tokens_in(tmp_path)) as served:
        filled(served, WRITE)
        yield served


@contextmanager
def opened(browser: Any, served: Served, by: str = "Anna", **how: Any) -> Iterator[Any]:
    """Sign somebody in; nothing may be logged, and nothing asked of anybody else."""
    context = browser.new_context(**({"viewport": WIDE} | how))
    page, problems = context.new_page(), list[str]()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith((served.url, "data:")) or problems.append(asked.url))
    page.goto(f"{served.url}/review")
    assert "/sign-in" in page.url
    page.fill("[name=by]", by)
    page.fill("[name=token]", WRITE)
    page.click("main button")
    page.wait_for_url(f"{served.url}/review")
    yield page
    context.close()
    assert problems == []


def painted(page: Any, before: str = "") -> str:
    """The pair on the screen, once it is another one."""
    page.wait_for_function("before => document.body.dataset.pair && document.body.dataset.pair !== before", arg=before)
    return str(page.evaluate("document.body.dataset.pair"))


def sent(page: Any, count: int) -> None:
    page.wait_for_function("count => Number(document.body.dataset.sent) === count", arg=count)


def test_pairs_are_decided_by_keys_taken_back_and_kept(browser: Any, reviewed: Served, tmp_path: Path) -> None:
    keys = "knknsk"
    with opened(browser, reviewed) as page:
        seen = [painted(page)]
        for key in keys:
            page.keyboard.press(key)
            seen.append(painted(page, seen[-1]))
        assert len(set(seen)) == len(keys) + 1
        page.keyboard.press("u")
        assert painted(page, seen[-1]) == seen[-2], "the pair that was decided last is on the screen again"
        page.keyboard.press("n")
        sent(page, len(keys) + 2)
        assert page.inner_text("#open") == str(COUNT - 5)
        page.reload()
        assert painted(page) == seen[-1]
    words = ["confirm", "reject", "confirm", "reject", "confirm", "undo", "reject"]
    assert verdicts_of(tmp_path / "library") == [("Anna", word) for word in words]


def test_the_last_pair_leads_to_a_page_that_says_so(browser: Any, reviewed: Served, tmp_path: Path) -> None:
    with opened(browser, reviewed) as page:
        at = painted(page)
        for i in range(COUNT):
            page.keyboard.press("k")
            if i < COUNT - 1:
                at = painted(page, at)
        page.wait_for_selector("#none")
        page.click("text=Undo your last verdict")
        assert painted(page) == at
    assert [word for _, word in verdicts_of(tmp_path / "library")] == ["confirm"] * COUNT + ["undo"]


def test_two_people_see_different_pairs(browser: Any, reviewed: Served) -> None:
    with opened(browser, reviewed) as page, opened(browser, reviewed, "Bert") as other:
        seen: dict[str, set[str]] = {"Anna": set(), "Bert": set()}
        at = {"Anna": painted(page), "Bert": painted(other)}
        for _ in range(4):
            for by, one in (("Anna", page), ("Bert", other)):
                seen[by].add(at[by])
                one.keyboard.press("k")
                at[by] = painted(one, at[by])
        assert not seen["Anna"] & seen["Bert"]


def test_the_next_pair_is_painted_at_once(browser: Any, reviewed: Served) -> None:
    timed = """async () => {
        const before = document.body.dataset.pair, start = performance.now();
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true }));
        while (document.body.dataset.pair === before) await new Promise(requestAnimationFrame);
        return performance.now() - start;
    }"""
    times = []
    with opened(browser, reviewed) as page:
        painted(page)
        for i in range(9):
            sent(page, i) if i else page.wait_for_timeout(300)
            page.wait_for_timeout(100)
            times.append(page.evaluate(timed))
    assert sorted(times)[len(times) // 2] < 100, times


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["narrow", "wide"])
def test_without_script_forms_do_and_no_page_scrolls_sideways(
    browser: Any, reviewed: Served, tmp_path: Path, size: dict[str, int]
) -> None:
    with opened(browser, reviewed, viewport=size, java_script_enabled=False) as page:
        for name in ("One picture", "Not duplicates", "Undo", "Later"):
            images = page.locator("#plain img")
            assert images.count() == 2
            assert images.first.is_visible()
            page.click(f"button:has-text('{name}')")
        page.goto(f"{reviewed.url}/")
        page.set_input_files("#image", tmp_path / "photographs" / "003.png")
        page.click("main button")
        assert page.locator("ol img").count() == 10
        assert "distance 0.0000" in page.inner_text("ol li:first-child")
        for path in ("/", "/review", "/library", "/sign-in"):
            page.goto(reviewed.url + path)
            box = page.locator("html").bounding_box()
            assert box is not None
            assert box["width"] <= size["width"]
    assert verdicts_of(tmp_path / "library") == [("Anna", "confirm"), ("Anna", "reject"), ("Anna", "undo")]


def test_with_script_no_page_scrolls_sideways_on_a_narrow_screen(browser: Any, reviewed: Served) -> None:
    with opened(browser, reviewed, viewport=NARROW) as page:
        for path in ("/review", "/", "/library", "/sign-in"):
            page.goto(reviewed.url + path)
            page.wait_for_timeout(200)
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path


def test_what_is_listed_is_veiled_until_somebody_wants_to_see_it(browser: Any, tmp_path: Path) -> None:
    folder = library_of_pairs(tmp_path, 2)
    with Library.open(folder) as library:
        listed = library.create_list("blocked", "block")
        snapshot = library.snapshot
        contents = [segment.content(i) for segment in snapshot.segments for i in range(len(segment))]
        listed.add([f"sha256:{content.hex()}" for content in contents if content])
    veil = "getComputedStyle(document.getElementById('canvas')).filter"
    with running(folder, tokens=tokens_in(tmp_path)) as served:
        filled(served, WRITE)
        with opened(browser, served) as page:
            at = painted(page)
            assert "blur" in page.evaluate(veil)
            assert "grayscale" in page.evaluate(veil)
            page.keyboard.press("v")
            assert page.evaluate(veil) == "none"
            page.keyboard.press("k")
            painted(page, at)
            assert "blur" in page.evaluate(veil), "the next one is veiled again"
        with opened(browser, served, java_script_enabled=False) as page:
            seen = page.locator("#plain img").first
            assert "blur" in seen.evaluate("image => getComputedStyle(image).filter")
            page.check(".reveal input")
            assert seen.evaluate("image => getComputedStyle(image).filter") == "none"
