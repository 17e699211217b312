"""Pages of text: what the README says of them is what was measured, and their stored quality marks them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from measure_text import measured, page, scanned
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import TEXT_PAGE, is_text_page, quality

ROOT = Path(__file__).parents[2]
RECORD = json.loads((ROOT / "results" / "text.json").read_text())["methods"]
COUNT = 12


def squashed(image: Image.Image, side: int) -> np.ndarray:
    return Preprocessing(side, "squash", side, "bilinear", (0, 0, 0), (1, 1, 1)).apply(image)


@pytest.fixture(scope="module")
def pages() -> list[Image.Image]:
    return [page(seed) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def scans(pages: list[Image.Image]) -> list[Image.Image]:
    return [scanned(one, seed) for seed, one in enumerate(pages)]


def test_the_readme_says_what_was_measured() -> None:
    text = " ".join((ROOT / "README.md").read_text().split())
    assert (
        f"of 200 scanned pages of text it puts {RECORD['mini']['right_page_first']:.1%} at their own page first" in text
    )
    assert RECORD["phash(size=16)"]["right_page_first"] == 1
    assert "`--model 'phash(size=16)'` all of them" in text


def test_a_hash_of_higher_resolution_tells_pages_apart(pages: list[Image.Image], scans: list[Image.Image]) -> None:
    found = {name: measured(name, pages, scans) for name in ("phash(size=16)", "dhash")}
    assert found["phash(size=16)"]["right_page_first"] == 1
    assert found["phash(size=16)"]["median_of_scan_and_page"] < 0.5 * found["phash(size=16)"]["median_of_two_pages"]
    assert found["dhash"]["right_page_first"] < 0.95


@pytest.mark.parametrize("side", [160, 200, 224, 320])
def test_pages_and_scans_are_marked_by_their_quality(
    pages: list[Image.Image], scans: list[Image.Image], side: int
) -> None:
    for image in (*pages, *scans):
        small = squashed(image, side)
        assert is_text_page(small)
        assert quality(small) <= TEXT_PAGE


def test_what_is_no_page_of_text_is_not_marked(data: Path, pages: list[Image.Image]) -> None:
    photographs = [Image.open(path) for path in sorted((data / "bsds500").glob("*/*.jpg"))[::10]]
    assert not any(is_text_page(squashed(one, 200)) for one in photographs)
    negative = [Image.fromarray(255 - np.asarray(one)) for one in pages]
    part = [one.crop((0, 0, 827, 90)).resize((400, 400)) for one in pages]  # a margin
    for image in (*negative, *part, Image.new("RGB", (300, 400), "white")):
        assert not is_text_page(squashed(image, 200))


@pytest.mark.parametrize("side", [8, 9, 64, 95])
def test_small_pictures_show_no_text(pages: list[Image.Image], side: int) -> None:
    assert not is_text_page(squashed(pages[0], side))
