"""A model whose card asks for it sees pictures as a viewer shows them, in whatever form they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from simsearch import distance
from simsearch.errors import ImageRejected, RejectCode
from simsearch.extract.pipeline import embed_sources
from simsearch.images import Limits, find
from tests.fake import FakeExtractor
from tests.images.formats.test_colour_profile import into, pale
from tests.images.pictures import encoded, scene
from tests.images.profiles import ADOBE, DISPLAY_P3, PROPHOTO, SRGB_CURVE, profile
from tests.images.workers.test_single import many_scans

PROFILES = {
    "adobe": profile(ADOBE, 2.19922),
    "p3": profile(DISPLAY_P3, SRGB_CURVE),
    "prophoto": profile(PROPHOTO, 1.8),
}


class Seeing(FakeExtractor):
    """As a card that is made today."""

    preprocessing = FakeExtractor.preprocessing.as_seen


def white(shape: str) -> Image.Image:
    image = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    if shape == "disc":
        draw.ellipse((50, 50, 250, 250), fill="white")
    else:
        draw.rectangle((20, 120, 280, 180), fill="white")
    return image


def rows(extractor: FakeExtractor, image: Image.Image, folder: Path, **options: Any) -> np.ndarray:
    """The rows of a picture given as a PIL image, a path and an opened file, and to the pipeline."""
    path = folder / "one.png"
    path.write_bytes(encoded(image, "PNG", **options))
    image = image.copy()
    image.info |= options
    with Image.open(path) as opened:
        given = [extractor.embed(each) for each in (image, path, opened)]
    for workers in (0, 1):
        given += [one.row[None] for one in embed_sources(extractor, find([folder]), workers=workers)]  # type: ignore[union-attr]
    return np.concatenate(given)


@pytest.mark.parametrize("name", PROFILES)
def test_a_picture_in_another_space_has_the_row_of_its_picture_in_srgb(name: str, tmp_path: Path) -> None:
    stored, plain = into(pale(), PROFILES[name]), Seeing().embed(pale())
    seen = rows(Seeing(), stored, tmp_path, icc_profile=PROFILES[name])
    blind = rows(FakeExtractor(), stored, tmp_path, icc_profile=PROFILES[name])
    assert len(seen) == 5
    assert distance.js(plain, seen).max() < 0.25 * distance.js(plain, blind).min()
    assert distance.js(seen, seen).max() == 0


def test_white_drawings_on_nothing_differ_and_older_cards_see_what_they_saw(tmp_path: Path) -> None:
    disc, bar = (rows(Seeing(), white(shape), tmp_path) for shape in ("disc", "bar"))
    assert distance.js(disc, bar).min() > 0.1
    assert distance.js(disc, disc).max() == 0
    old = [rows(FakeExtractor(), white(shape), tmp_path) for shape in ("disc", "bar")]
    assert distance.js(*old).max() == 0


def test_limits_are_those_that_are_given(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encoded(scene(200, 100)))
    with pytest.raises(ImageRejected, match="--max-pixels") as caught:
        FakeExtractor().embed(path, limits=Limits(max_pixels=19_999))
    assert caught.value.code is RejectCode.TOO_MANY_PIXELS
    assert "bomb" not in str(caught.value)
    assert FakeExtractor().embed(path, limits=Limits(max_pixels=20_000)).shape == (1, 192)
    path.write_bytes(many_scans())
    with pytest.raises(ImageRejected) as caught:
        FakeExtractor().embed(path, limits=Limits(timeout_s=0.5))
    assert caught.value.code is RejectCode.TIMEOUT
