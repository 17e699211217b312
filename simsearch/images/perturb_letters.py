"""Words made by chance, written as large as they fit."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from simsearch.images.perturb_text import load_font

Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]
WORDS = (
    *("when", "you", "find", "the", "old", "photo", "and", "nobody", "knows", "where", "it", "was", "made", "but"),
    *("every", "friend", "says", "this", "is", "just", "like", "mine", "today", "never", "again", "maybe", "look"),
    *("tomorrow", "what", "happened", "here", "first", "time", "best", "day", "ever", "wait", "for", "us"),
)
_REFERENCE = 48  # the size at which letters are measured before they are scaled to fit


def phrase(rng: np.random.Generator, low: int, high: int) -> str:
    """From `low` to `high` words, each drawn evenly from `WORDS`."""
    return " ".join(WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(low, high + 1)))


def ellipse(draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """Fill an ellipse in that box (left, top, right, bottom; the last two outside), if the box holds a pixel."""
    _fill(draw.ellipse, box, colour)


def rectangle(draw: ImageDraw.ImageDraw, box: Box, colour: Colour) -> None:
    """Fill that box (left, top, right, bottom; the last two outside), if it holds a pixel."""
    _fill(draw.rectangle, box, colour)


def _fill(shape: Callable[..., None], box: Box, colour: Colour) -> None:
    left, top, right, bottom = box
    if right > left and bottom > top:
        shape((left, top, right - 1, bottom - 1), fill=colour)


def fitted(words: str, size: tuple[int, int], font: str | Path | None, *, stroke: float = 0) -> int:
    """The largest font size at which the words fit into that width and height; 0 if none does.

    Args:
        words: One line or several.
        size: The width and height that may be filled.
        font: A TrueType file; by default the font inside Pillow.
        stroke: Width of the line around letters as a share of the font size.
    """
    width, height = _extent(words, _REFERENCE, font, stroke)
    points = int(_REFERENCE * min(size[0] / max(1, width), size[1] / max(1, height)))
    while points > 0 and any(a > b for a, b in zip(_extent(words, points, font, stroke), size, strict=True)):
        points -= 1
    return points


def broken(words: str, size: tuple[int, int], font: str | Path | None, *, most: int = 3) -> str:
    """The words in the number of lines, at most `most`, that lets them be largest in that width and height."""
    candidates = [textwrap.fill(words, max(1, -(-len(words) // n)), break_long_words=False) for n in range(1, most + 1)]
    return max(candidates, key=lambda lines: fitted(lines, size, font))


def write(
    draw: ImageDraw.ImageDraw, box: Box, words: str, colour: Colour, *, font: str | Path | None, left: bool = False
) -> None:
    """Write the words as large as the box allows, centred or at its left; nothing where no letter fits."""
    points = fitted(words, (box[2] - box[0], box[3] - box[1]), font)
    if points > 0:
        x = box[0] if left else (box[0] + box[2]) / 2
        place(draw, (x, (box[1] + box[3]) / 2), words, points, font=font, left=left, fill=colour)


def place(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    words: str,
    points: int,
    *,
    font: str | Path | None,
    left: bool = False,
    **style: Any,
) -> None:
    """Write the words at that size so that the middle (or the middle of the left edge) of their ink is at `at`."""
    chosen = load_font(font, points)
    stroke = style.get("stroke_width", 0)
    x0, y0, x1, y1 = draw.multiline_textbbox((0, 0), words, chosen, align="center", stroke_width=stroke)
    corner = (round(at[0] - (x0 if left else (x0 + x1) / 2)), round(at[1] - (y0 + y1) / 2))
    draw.multiline_text(corner, words, font=chosen, align="center", **style)


def _extent(words: str, points: int, font: str | Path | None, stroke: float) -> tuple[float, float]:
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    width = round(stroke * points)
    box = draw.multiline_textbbox((0, 0), words, load_font(font, points), align="center", stroke_width=width)
    return box[2] - box[0], box[3] - box[1]
