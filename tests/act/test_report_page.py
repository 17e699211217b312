"""From a report of duplicates to its page: reasons, worth in words, and previews, which no file can spoil."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simsearch.act import write_report_page
from simsearch.act.page.previews import SIDE, Preview, Previews
from simsearch.act.page.report_page import pairs_of, reason, worth_of_pair
from simsearch.decide.calibration import Expected
from simsearch.images.source import as_text
from simsearch.library.duplicates.report import Duplicate, Duplicates, Group, Picture
from tests.act.pages import Parsed, jpeg


def picture(path: bytes, *, pixels: int = 0, **more: Any) -> Picture:
    text, encoded = as_text(path)
    facts: dict[str, Any] = {"sha256": "ab" * 32, "size": 100, "mtime_ns": 5, "quality": 50, "kind": "file"}
    return Picture(1, text, encoded, b"/", width=pixels, height=min(pixels, 1), **(facts | more))


def report(kept: Picture, *others: Picture, **more: Any) -> Duplicates:
    group = Group(kept, tuple(Duplicate(other, 0.1) for other in others))
    return Duplicates((group,), "/x/photos.library", "mini", "js", 0.2, 9, **more)


def test_a_page_is_made_of_a_report(tmp_path: Path) -> None:
    for name in (b"a.jpg", b"\xff.png"):
        Image.new("RGB", (900, 600), (200, 90, 10)).save(tmp_path / name.decode("utf-8", "surrogateescape"), "PNG")
    root = bytes(tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    others = [picture(root + b"/\xff.png"), picture(root + b"/broken.jpg"), picture(root + b"/gone.jpg", own=False)]
    seen = []
    written = write_report_page(
        report(picture(root + b"/a.jpg"), *others, decided=3),
        tmp_path / "page.html",
        advance=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert (written.pairs, written.left_out) == (3, 0)
    text = written.path.read_text()
    sides = Parsed(text).sides
    assert [one["pixels"] for one in sides] == ["900 × 600 pixels"] * 2 + [""] * 2
    assert [one["format"] for one in sides] == ["PNG", "PNG", "", ""]
    assert sides[1]["path_b64"]
    assert "held against" in sides[3]["fixed"]
    assert text.count("data:image/jpeg;base64,") == 2
    assert "3 pairs were decided earlier" in text
    assert "Duplicates in photos.library" in text


def test_a_preview_has_no_side_above_the_limit_and_a_member_of_a_tar_has_one(tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.new("RGB", (1000, 7)).save(wide)
    (tmp_path / "in.jpg").write_bytes(jpeg(3))
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.add(tmp_path / "in.jpg", "deep/in.jpg")
    previews = Previews()
    found = [previews.of(bytes(path)) for path in (wide, tmp_path / "t.tar::deep/in.jpg")]
    sizes = [Image.open(_file(one)).size for one in found]
    assert sizes == [(SIDE, 3), (48, 32)]
    assert previews.of(bytes(tmp_path / "t.tar::no.jpg")) == Preview(None)
    assert previews.of(bytes(tmp_path)) == Preview(None)
    assert previews.failed == 2


def _file(preview: Preview) -> Any:
    from io import BytesIO

    assert preview.jpeg is not None
    return BytesIO(preview.jpeg)


def test_previews_are_made_as_pairs_are_asked_for(tmp_path: Path) -> None:
    class Counted(Previews):
        made = 0

        def of(self, path: bytes) -> Preview:
            Counted.made += 1
            return Preview(None)

    names = [picture(b"/p/%d.jpg" % i) for i in range(100)]
    stream = pairs_of(report(*names), Counted())
    next(stream)
    assert Counted.made <= 2


RULES = st.sampled_from(
    ["best", "largest", "oldest", "newest", "quality", "path:*a*", "format:PNG+JPG", "largest,oldest"]
)
FILES = st.builds(
    picture,
    st.sampled_from([b"/a.jpg", b"/b.png"]),
    size=st.integers(1, 3),
    mtime_ns=st.integers(1, 3),
    pixels=st.integers(1, 3),
    quality=st.integers(1, 3),
    kind=st.sampled_from(["file", "link"]),
)


@given(RULES, FILES, FILES, st.sampled_from(["PNG", "JPEG"]), st.sampled_from(["PNG", "JPEG"]))
def test_a_reason_is_given_for_one_of_two_files_at_most(rule: str, a: Any, b: Any, one: str, two: str) -> None:
    forward, back = reason(rule, (a, one), (b, two)), reason(rule, (b, two), (a, one))
    assert forward
    if forward == back:
        assert forward.startswith(("they are equal by the rule", "it has as many pixels"))
    else:
        assert "the other files of its group are near it" in (forward, back) or "equal by the rule" in forward + back


@pytest.mark.parametrize(
    ("rule", "words"),
    [("largest", "more bytes"), ("oldest", "older"), ("best", "more pixels"), ("path:*kept*", "*kept*")],
)
def test_a_reason_says_by_what(rule: str, words: str) -> None:
    kept = picture(b"/kept.jpg", size=200, mtime_ns=1, pixels=9)
    assert words in reason(rule, (kept, "JPEG"), (picture(b"/b.jpg"), "JPEG"))


@pytest.mark.parametrize(
    ("value", "beyond", "words"),
    [(7.3, False, "about 7.3 pairs"), (0.02, True, "in at most 1 of 50 such"), (0.0, False, "no pair")],
)
def test_worth_in_words(value: float, beyond: bool, words: str) -> None:
    assert words in worth_of_pair(Expected(value, value, value, beyond_calibration=beyond))
