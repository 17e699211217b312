"""Which file stays: by any rule the same one in any order, and a transcode is no better than what it was made of."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from simsearch.errors import InputError
from simsearch.library.duplicates.encoding import encodings, jpeg_table
from simsearch.library.duplicates.keep import keep_rule
from simsearch.library.duplicates.report import Picture

PLAIN = Picture(1, "/a/a.jpg", None, b"/a", "0" * 64, 10, 5, 4, 3, 50, "file")


def scene() -> Image.Image:
    """A picture with the detail of a photograph: smoothed noise at several scales."""
    rng = np.random.default_rng(1)
    whole = np.zeros((192, 256, 3))
    for step in (4, 8, 16, 32):
        small = rng.normal(0, 18, (192 // step, 256 // step, 3))
        layer = [Image.fromarray(small[..., c].astype(np.float32)).resize((256, 192), 3) for c in range(3)]
        whole += np.stack([np.asarray(one) for one in layer], 2)
    return Image.fromarray(np.clip(whole + rng.normal(0, 3, whole.shape) + 128, 0, 255).astype(np.uint8))


def saved(folder: Path, name: str, image: Image.Image, mtime: int, **how: int) -> Picture:
    path = folder / name
    image.save(path, **how)
    return replace(
        PLAIN, path=str(path), size=path.stat().st_size, mtime_ns=mtime, width=image.width, height=image.height
    )


@pytest.mark.parametrize("quality", [40, 60, 75, 85])
def test_a_transcode_is_not_better_for_being_larger(tmp_path: Path, quality: int) -> None:
    original = saved(tmp_path, "original.jpg", scene(), 9, quality=quality)
    pixels = Image.open(original.path)
    png = saved(tmp_path, "transcode.png", pixels, 1)
    again = saved(tmp_path, "again.jpg", pixels, 2, quality=98)
    worse = saved(tmp_path, "worse.jpg", pixels, 3, quality=20)
    assert png.size > original.size < again.size
    for order in ([original, png, again, worse], [worse, again, png, original]):
        assert keep_rule("best").ranked(order, encodings)[0] == original
        assert keep_rule("best").ranked(order, encodings)[-1] == worse
    assert keep_rule("largest").ranked([original, png], encodings)[0] == png, "whoever asks for it gets it"


def test_a_lossless_original_is_better_than_what_was_made_of_it(tmp_path: Path) -> None:
    png = saved(tmp_path, "original.png", scene(), 9)
    jpeg = saved(tmp_path, "small.jpg", scene(), 1, quality=90)
    assert keep_rule("best").ranked([jpeg, png], encodings)[0] == png


def test_more_pixels_come_first(tmp_path: Path) -> None:
    small = saved(tmp_path, "small.png", scene().resize((64, 48)), 1)
    large = saved(tmp_path, "large.jpg", scene(), 2, quality=50)
    assert keep_rule("best").ranked([small, large], encodings)[0] == large


@pytest.mark.parametrize("quality", [5, 50, 75, 95])
def test_the_table_of_a_jpeg_is_read_as_pillow_reads_it(quality: int) -> None:
    buffer = io.BytesIO()
    scene().save(buffer, "JPEG", quality=quality)
    table = jpeg_table(buffer.getvalue())
    assert table is not None
    assert table.ravel().tolist() == list(Image.open(buffer).quantization[0])


@given(st.binary(max_size=300))
def test_any_bytes_have_a_table_or_none(data: bytes) -> None:
    for start in (b"", b"\xff\xd8\xff\xdb"):
        table = jpeg_table(start + data)
        assert table is None or (table.shape == (8, 8) and table.min() >= 1)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 100), st.integers(0, 9)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["largest", "oldest", "newest", "quality", "path:*/1-*", "quality,newest", "path:*/[12]-*,oldest"]),
    st.randoms(),
)
def test_the_order_given_does_not_matter(facts, rule, random) -> None:
    pictures = [
        replace(PLAIN, id=i, path=f"/a/{name}-{i}.jpg", width=w, size=s, mtime_ns=t, quality=q)
        for i, (w, s, t, q, name) in enumerate(facts)
    ]
    mixed = random.sample(pictures, len(pictures))
    assert keep_rule(rule).ranked(mixed, encodings) == keep_rule(rule).ranked(pictures, encodings)


def test_files_go_before_links_and_members_whatever_the_rule() -> None:
    kinds = [
        replace(PLAIN, path=f"/{i}", kind=kind, size=i) for i, kind in enumerate(["file", "link", "member", "none"])
    ]
    assert keep_rule("largest").ranked(kinds[::-1], encodings) == kinds


def test_patterns_see_names_that_are_no_utf8() -> None:
    odd = replace(PLAIN, path="odd", path_b64="L/8ub3JpZy5qcGc=")  # /\xff.orig.jpg
    assert keep_rule("path:*.orig.jpg").ranked([PLAIN, odd], encodings)[0] == odd
    assert keep_rule(f"path:*{os.fsdecode(bytes([255]))}*").ranked([PLAIN, odd], encodings)[0] == odd


def test_formats_are_told_by_content(tmp_path: Path) -> None:
    png = saved(tmp_path, "a.jpg.png", scene(), 1)
    Path(png.path).rename(tmp_path / "really-png.jpg")
    png = replace(png, path=str(tmp_path / "really-png.jpg"))
    jpeg = saved(tmp_path, "b.jpg", scene(), 0, quality=80)
    assert keep_rule("format:png+jpg").ranked([jpeg, png], encodings)[0] == png


@pytest.mark.parametrize("text", ["", "best,", "biggest", "path", "path:", "format:", "oldest:x", "best;oldest"])
def test_what_is_no_rule_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(InputError, match="largest, oldest, newest"):
        keep_rule(text)
