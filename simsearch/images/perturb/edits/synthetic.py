"""Pictures drawn by chance, which stand for the other photographs, emoji and logos of the world."""

from __future__ import annotations

import functools
import math

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from simsearch.images.perturb.edits import Picture, Rng
from simsearch.images.perturb.edits.text import Colour

EMOJI = ("smile", "laugh", "love", "cool", "surprise", "heart")
LOGOS = ("ring", "shield", "stripes", "petals", "steps")
SIDE = 256  # emoji and logos are drawn this large and scaled, which smooths their edges

_YELLOW, _BROWN, _RED, _WHITE, _BLACK = (255, 204, 50), (92, 56, 16), (224, 36, 58), (255, 255, 255), (24, 24, 28)
_SATURATION = 0.5  # of drawn pictures: even draws of red, green and blue are gaudier than photographs
_Points = list[tuple[float, float]]


def picture(rng: Rng, size: tuple[int, int]) -> Picture:
    """Return a random RGB picture: a coloured ground with up to eight shapes, and grain on half of the pictures.

    Args:
        rng: Where colours, shapes and grain come from.
        size: Width and height.
    """
    coarse = rng.integers(0, 256, (*rng.integers(2, 6, 2), 3), np.uint8)
    out = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(out)
    for _ in range(rng.integers(0, 9)):
        x, y, a, b = rng.random(4) * (*size, size[0] / 3, size[1] / 3)
        turn, corners = rng.random() * math.tau, int(rng.integers(2, 7))
        if corners == 2:
            draw.ellipse((x - a, y - b, x + a, y + b), fill=colour(rng))
        else:
            angles = turn + np.arange(corners) * math.tau / corners
            draw.polygon(list(zip(x + a * np.cos(angles), y + b * np.sin(angles), strict=True)), fill=colour(rng))
    if rng.random() < 0.5:
        grain = rng.integers(0, 256, (max(1, size[1] // 2), max(1, size[0] // 2), 3), np.uint8)
        out = Image.blend(out, Image.fromarray(grain).resize(size, Image.Resampling.BILINEAR), 0.2)
    return ImageEnhance.Color(out).enhance(_SATURATION)


def colour(rng: Rng) -> Colour:
    """Return a colour, each channel drawn evenly from 0 to 255."""
    red, green, blue = (int(v) for v in rng.integers(0, 256, 3))
    return red, green, blue


@functools.lru_cache(maxsize=len(EMOJI))
def emoji(kind: str) -> Picture:
    """Return the emoji of that kind as RGBA of `SIDE` x `SIDE`, transparent around; do not change it."""
    out = Image.new("RGBA", (SIDE, SIDE))
    draw = ImageDraw.Draw(out)
    if kind == "heart":
        draw.polygon(_heart(128, 128, 118), fill=_RED)
        return out
    draw.ellipse((4, 4, 251, 251), fill=_YELLOW, outline=(222, 160, 30), width=5)
    _eyes(draw, kind)
    if kind == "surprise":
        draw.ellipse((98, 150, 158, 222), fill=_BROWN)
    elif kind == "laugh":
        draw.chord((62, 92, 194, 222), 0, 180, fill=_BROWN)
        draw.chord((74, 100, 182, 190), 0, 180, fill=_WHITE)
    else:
        draw.arc((66, 70, 190, 204), 25, 155, fill=_BROWN, width=13)
    return out


def logo(rng: Rng, kind: str) -> Picture:
    """Return a logo of that kind in two colours drawn by chance, RGBA of `SIDE` x `SIDE`, transparent around."""
    return drawn_logo(kind, colour(rng), colour(rng))


def drawn_logo(kind: str, one: Colour, two: Colour) -> Picture:
    """Return the logo of that kind in those colours, RGBA of `SIDE` x `SIDE`, transparent around."""
    out = Image.new("RGBA", (SIDE, SIDE))
    draw = ImageDraw.Draw(out)
    if kind == "ring":
        draw.ellipse((6, 6, 249, 249), outline=one, width=40)
        draw.polygon(_star(128, 128, 78), fill=two)
    elif kind == "shield":
        draw.polygon([(20, 20), (236, 20), (236, 130), (128, 250), (20, 130)], fill=one)
        draw.polygon([(128, 60), (190, 120), (128, 200), (66, 120)], fill=two)
    elif kind == "stripes":
        for i in range(4):
            draw.rounded_rectangle((8, 12 + 62 * i, 248 - 48 * (i % 2), 54 + 62 * i), 20, fill=(one, two)[i % 2])
    elif kind == "petals":
        for i in range(6):
            x, y = 128 + 72 * math.cos(i * math.tau / 6), 128 + 72 * math.sin(i * math.tau / 6)
            draw.ellipse((x - 48, y - 48, x + 48, y + 48), fill=(one, two)[i % 2])
    else:
        for i in range(3):
            draw.rectangle((16 + 80 * i, 176 - 72 * i, 80 + 80 * i, 246), fill=(one, two, one)[i])
    return out


def _eyes(draw: ImageDraw.ImageDraw, kind: str) -> None:
    if kind == "cool":
        draw.rectangle((18, 76, 237, 92), fill=_BLACK)
    for x in (86, 170):
        if kind == "cool":
            draw.rounded_rectangle((x - 42, 76, x + 38, 136), 22, fill=_BLACK)
        elif kind == "love":
            draw.polygon(_heart(x, 96, 38), fill=_RED)
        elif kind == "laugh":
            draw.arc((x - 28, 76, x + 28, 132), 200, 340, fill=_BROWN, width=13)
        else:
            draw.ellipse((x - 16, 70, x + 16, 122), fill=_BROWN)


def _heart(x: float, y: float, radius: float) -> _Points:
    t = np.linspace(0, math.tau, 64)
    dx = 16 * np.sin(t) ** 3 / 17
    dy = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 17
    return list(zip(x + radius * dx, y + radius * dy, strict=True))


def _star(x: float, y: float, radius: float) -> _Points:
    angles = -math.pi / 2 + np.arange(10) * math.tau / 10
    reach = np.where(np.arange(10) % 2, 0.45, 1) * radius
    return list(zip(x + reach * np.cos(angles), y + reach * np.sin(angles), strict=True))
