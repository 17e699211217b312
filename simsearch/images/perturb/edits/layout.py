"""Edits that put the image on a larger canvas: padding, bars, captions, frames, collages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from simsearch.images.perturb.edits import Font, Picture, Rng
from simsearch.images.perturb.edits.overlay import one_of
from simsearch.images.perturb.edits.second_image import other
from simsearch.images.perturb.edits.synthetic import colour
from simsearch.images.perturb.edits.text import Colour, broken, fitted, phrase, place, rectangle, write

FILLS = ("any", "black", "white", "colour", "blur")
THEMES = ("any", "light", "dark")
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_SOFT = 24  # pixels of the longer side from which a blurred ground is made
_BELOW = 3  # times the frame's width is its part below the image, which holds the caption
_MEME_WIDTH = 0.94  # of the image's width, which letters over it may fill


def padding(image: Picture, rng: Rng, *, percent: float, fill: str = "any") -> Picture:
    """Return the image with a border of that percentage of each side length on all four sides."""
    x, y = round(percent / 100 * image.width), round(percent / 100 * image.height)
    return _padded(image, rng, x, y, fill)


def letterbox(image: Picture, rng: Rng, *, percent: float, fill: str = "black") -> Picture:
    """Return the image with a bar of that percentage of its height above and below."""
    return _padded(image, rng, 0, round(percent / 100 * image.height), fill)


def pillarbox(image: Picture, rng: Rng, *, percent: float, fill: str = "blur") -> Picture:
    """Return the image with a bar of that percentage of its width left and right, by default its blurred content."""
    return _padded(image, rng, round(percent / 100 * image.width), 0, fill)


def caption_above(image: Picture, rng: Rng, *, percent: float, theme: str = "any", font: Font = None) -> Picture:
    """Return the image below a bar with a few words, as high as that percentage of the image."""
    return stacked([_caption_bar(image, rng, percent, theme, font), image])


def caption_below(image: Picture, rng: Rng, *, percent: float, theme: str = "any", font: Font = None) -> Picture:
    """Return the image above a bar with a few words, as high as that percentage of the image."""
    return stacked([image, _caption_bar(image, rng, percent, theme, font)])


def meme(image: Picture, rng: Rng, *, percent: float, font: Font = None) -> Picture:
    """Return the image with white capitals, rimmed in black, at top and bottom, each at most that percentage high."""
    out = image.copy()
    draw = ImageDraw.Draw(out)
    width, height = round(_MEME_WIDTH * image.width), round(percent / 100 * image.height)
    for middle in (0.02 * image.height + height / 2, 0.98 * image.height - height / 2):
        words = broken(phrase(rng, 2, 5).upper(), (width, height), font, most=2)
        points = fitted(words, (width, height), font, stroke=0.08)
        if points > 0:
            at, rim = (image.width / 2, middle), round(0.08 * points)
            place(draw, at, words, points, font=font, fill="white", stroke_width=rim, stroke_fill="black")
    return out


def captioned_frame(image: Picture, rng: Rng, *, percent: float, theme: str = "dark", font: Font = None) -> Picture:
    """Return the image in a frame of that percentage of each side, thrice below, with a heading and words there."""
    x, y = round(percent / 100 * image.width), round(percent / 100 * image.height)
    ground, ink = theme_colours(rng, theme)
    heading, words = phrase(rng, 1, 3).upper(), phrase(rng, 3, 8).capitalize()
    out = Image.new("RGB", (image.width + 2 * x, image.height + (1 + _BELOW) * y), ground)
    draw = ImageDraw.Draw(out)
    for edge in (1, 0):  # a thin line around the image, where the frame has room for one
        thin = min(x, y) // 4
        near, far = thin + edge, (x + image.width + thin + edge, y + image.height + thin + edge)
        rectangle(draw, (x - near, y - near, *far), ink if edge else ground)
    top = y + image.height + y // 2
    write(draw, (x, top, x + image.width, top + round(1.2 * y)), heading, ink, font=font)
    write(draw, (x, top + round(1.5 * y), x + image.width, top + round(2.1 * y)), words, ink, font=font)
    out = out.convert(image.mode)
    out.paste(image, (x, y))
    return out


def collage(image: Picture, rng: Rng, *, cells: int, picture: str | None = None) -> Picture:
    """Return a square grid of that many cells a side, one of them the image, the others other images."""
    x_edges, y_edges = (np.linspace(0, max(side, cells), cells + 1).round().astype(int).tolist() for side in image.size)
    out = Image.new(image.mode, (x_edges[-1], y_edges[-1]))
    own = int(rng.integers(cells * cells))
    for cell in range(cells * cells):
        row, column = divmod(cell, cells)
        size = (x_edges[column + 1] - x_edges[column], y_edges[row + 1] - y_edges[row])
        inner = image.resize(size, Image.Resampling.BICUBIC) if cell == own else other(rng, size, picture)
        out.paste(inner.convert(image.mode), (x_edges[column], y_edges[row]))
    return out


def side_by_side(image: Picture, rng: Rng, *, pictures: int, picture: str | None = None) -> Picture:
    """Return a row of that many pictures of the same size, one of them the image, the others other images."""
    out = Image.new(image.mode, (pictures * image.width, image.height))
    own = int(rng.integers(pictures))
    for i in range(pictures):
        inner = image if i == own else other(rng, image.size, picture)
        out.paste(inner.convert(image.mode), (i * image.width, 0))
    return out


def stacked(images: Sequence[Picture]) -> Picture:
    """Return the images of one mode and width, one below the other."""
    out = Image.new(images[0].mode, (images[0].width, sum(image.height for image in images)))
    top = 0
    for image in images:
        out.paste(image, (0, top))
        top += image.height
    return out


def theme_colours(rng: Rng, theme: str) -> tuple[Colour, Colour]:
    """Return ground and ink: white and black for `light`, the reverse for `dark`, either at random for `any`."""
    return (_WHITE, _BLACK) if one_of(rng, THEMES[1:], theme) == "light" else (_BLACK, _WHITE)


def _padded(image: Picture, rng: Rng, x: int, y: int, fill: str) -> Picture:
    size = (image.width + 2 * x, image.height + 2 * y)
    kind = one_of(rng, FILLS[1:], fill)
    if kind == "blur":
        out = _blurred(image, size)
    else:
        flat = colour(rng) if kind == "colour" else _WHITE if kind == "white" else _BLACK
        out = Image.new("RGB", size, flat).convert(image.mode)
    out.paste(image, (x, y))
    return out


def _blurred(image: Picture, size: tuple[int, int]) -> Picture:
    scale = _SOFT / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.BOX)
    return small.filter(ImageFilter.GaussianBlur(1)).resize(size, Image.Resampling.BICUBIC)


def _caption_bar(image: Picture, rng: Rng, percent: float, theme: str, font: Font) -> Picture:
    width, height = image.width, round(percent / 100 * image.height)
    ground, ink = theme_colours(rng, theme)
    words = phrase(rng, 3, 9).capitalize()
    out = Image.new("RGB", (width, height), ground)
    if height:
        x, y = round(0.04 * width), round(0.1 * height)
        words = broken(words, (width - 2 * x, height - 2 * y), font)
        write(ImageDraw.Draw(out), (x, y, width - x, height - y), words, ink, font=font)
    return out.convert(image.mode)
