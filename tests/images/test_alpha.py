from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from simsearch.images import decode, to_rgb
from simsearch.images.formats.colour import FAINT, HIDDEN_SPAN
from tests.images.pictures import apart, array, encoded, scene

SHAPES = {
    "disc": lambda d, colour: d.ellipse((10, 10, 70, 50), fill=colour),
    "bar": lambda d, colour: d.rectangle((5, 25, 75, 35), fill=colour),
    "letters": lambda d, colour: [d.line((10 * i, 5, 5 + 7 * i, 55), fill=colour, width=3) for i in range(1, 8)],
}


def drawing(shape: str, colour: tuple[int, ...]) -> Image.Image:
    image = Image.new("RGBA", (80, 60), (0, 0, 0, 0))
    SHAPES[shape](ImageDraw.Draw(image), colour)
    return image


def contrast(image: Image.Image) -> int:
    return int(np.ptp(array(image), axis=(0, 1)).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", [(255, 255, 255), (250, 252, 248), (255, 253, 240), (245, 245, 245)])
@pytest.mark.parametrize("opacity", [255, 128, 40])
def test_white_drawings_are_seen_on_a_transparent_ground(shape: str, colour: tuple[int, ...], opacity: int) -> None:
    image = drawing(shape, (*colour, opacity))
    assert contrast(to_rgb(image, alpha="contrast")) > 0.9 * min(colour) * opacity / 255
    assert contrast(to_rgb(image)) <= 15
    others = [drawing(other, (*colour, opacity)) for other in SHAPES if other != shape]
    assert all(apart(to_rgb(image, alpha="contrast"), to_rgb(other, alpha="contrast")) > 1 for other in others)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 30), (255, 255, 0), (170, 170, 170), (120, 200, 255)])
def test_other_drawings_stay_on_white(shape: str, colour: tuple[int, ...]) -> None:
    image = drawing(shape, (*colour, 255))
    assert apart(to_rgb(image, alpha="contrast"), to_rgb(image)) == 0


def test_pictures_without_transparent_pixels_are_the_same_on_any_page() -> None:
    for picture in (scene(), Image.new("RGB", (60, 40), (255, 255, 255)), Image.new("RGB", (60, 40), (253, 250, 249))):
        opaque = picture.copy()
        opaque.putalpha(255)
        assert apart(to_rgb(opaque, alpha="contrast"), picture) == 0
        assert apart(to_rgb(picture, alpha="contrast"), picture) == 0


def test_hidden_colours_are_shown_where_there_is_nothing_else_to_show() -> None:
    lost = scene()
    lost.putalpha(0)
    assert apart(to_rgb(lost, alpha="contrast"), scene()) == 0
    assert array(to_rgb(lost)).min() == 255
    flat = Image.fromarray(np.random.default_rng(0).integers(90, 90 + HIDDEN_SPAN, (40, 60, 3), dtype=np.uint8))
    flat.putalpha(0)
    assert array(to_rgb(flat, alpha="contrast")).min() == 255
    lost.putpixel((3, 3), (0, 0, 0, 255))
    shown = array(to_rgb(lost, alpha="contrast"))
    assert (shown.min(axis=2) == 255).mean() > 0.99


@pytest.mark.parametrize("seed", range(6))
def test_noise_of_coding_does_not_turn_the_page(seed: int) -> None:
    """Away from the threshold by 0.01, noise of 4 levels a pixel leaves the page what it was."""
    rng = np.random.default_rng(seed)
    for faint, black in ((FAINT - 0.01, True), (FAINT + 0.01, False)):
        level = round(255 * (1 - faint))
        values = np.full((60, 80, 4), level, np.uint8)
        values[..., 3] = np.asarray(drawing("disc", (0, 0, 0, 255)).getchannel("A"))
        noise = values.copy()
        noise[..., :3] = np.clip(values[..., :3] + rng.normal(0, 4, (60, 80, 3)), 0, 255).astype(np.uint8)
        for each in (values, noise):
            assert (array(to_rgb(Image.fromarray(each), alpha="contrast"))[0, 0] == (0 if black else 255)).all()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "GIF"])
def test_the_page_is_the_same_in_every_format(kind: str) -> None:
    options = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}}.get(kind, {})
    for shape in SHAPES:
        found = decode(encoded(drawing(shape, (255, 255, 255, 255)), kind, **options), alpha="contrast").image
        assert apart(found, to_rgb(drawing(shape, (255, 255, 255, 255)), alpha="contrast")) < 3


def test_deep_greys_with_a_transparent_level_have_the_same_page() -> None:
    values = np.where(np.asarray(drawing("disc", (0, 0, 0, 255)).getchannel("A")) > 0, 65535, 7).astype(np.uint16)
    image = Image.fromarray(values)
    image.info["transparency"] = 7
    assert array(to_rgb(image)).min() == 255
    assert contrast(to_rgb(image, alpha="contrast")) == 255
