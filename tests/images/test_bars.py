"""Bars: whatever their colour and width, the part inside is found; photographs and plain pictures have none."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageDraw

from simsearch.images.bars import inner_box
from tests.images.pictures import encoded


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """A picture whose edges differ from each other and from any one colour."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(-20, 21, (height, width, 3))
    return Image.fromarray((np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(BytesIO(encoded(image, "JPEG", quality=quality))).convert("RGB")


@pytest.mark.parametrize("seed", range(24))
def test_the_part_inside_bars_of_any_colour_and_width_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inner = photograph(*rng.integers(120, 400, 2).tolist(), seed)
    left, top, right, bottom = np.where(rng.random(4) < 0.7, rng.integers(12, 90, 4), 0).tolist()
    if not left + top + right + bottom:
        left = 20  # a bar on one side only
    colour = tuple(rng.integers(0, 256, 3).tolist()) if seed % 3 else (0, 0, 0)
    canvas = Image.new("RGB", (inner.width + left + right, inner.height + top + bottom), colour)
    canvas.paste(inner, (left, top))
    truth = (left, top, left + inner.width, top + inner.height)
    for picture in (canvas, as_jpeg(canvas, 80)):
        found = inner_box(picture)
        assert found is not None
        assert np.abs(np.subtract(found, truth)).max() <= 2


def test_words_and_a_thin_line_in_a_frame_belong_to_it() -> None:
    inner = photograph(300, 200, 1)
    canvas = Image.new("RGB", (400, 360), "black")
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((44, 34, 355, 245), outline="white", width=2)
    draw.text((120, 270), "WORDS BELOW", fill="white", font_size=30)
    canvas.paste(inner, (50, 40))
    assert inner_box(canvas) == (50, 40, 350, 240)


def test_a_large_picture_is_measured_to_a_thousandth_of_its_sides() -> None:
    canvas = Image.new("RGB", (4001, 3999), (20, 90, 200))
    canvas.paste(photograph(4001, 3001, 2), (0, 499))
    found = inner_box(canvas)
    assert found is not None
    assert np.abs(np.subtract(found, (0, 499, 4001, 3500))).max() <= 5


def test_photographs_have_no_bars() -> None:
    from sklearn.datasets import load_sample_images

    natural = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for image in (*natural, *(photograph(200, 150, seed) for seed in range(20))):
        assert inner_box(image) is None
        assert inner_box(as_jpeg(image, 60)) is None


def test_a_sky_that_grows_lighter_is_no_bar() -> None:
    sky = np.linspace(90, 250, 300)[:, None, None] * np.ones((1, 400, 3))
    assert inner_box(Image.fromarray(sky.astype(np.uint8))) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (7, 3), (300, 200)])
def test_a_plain_picture_has_nothing_inside(size: tuple[int, int]) -> None:
    assert inner_box(Image.new("RGB", size, (200, 30, 30))) is None


def test_nothing_of_some_size_left_is_no_inner_part() -> None:
    canvas = Image.new("RGB", (400, 400), "white")
    canvas.paste(photograph(40, 40, 3), (180, 180))
    assert inner_box(canvas) is None
