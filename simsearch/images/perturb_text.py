"""The edit that writes random letters over the image."""

from __future__ import annotations

import functools
import importlib.util
import string
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simsearch.errors import DependencyMissing, InputError

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits
_LINE = 20  # characters before a newline
_STROKE = 2  # pixels of black around each letter


def text(image: Image.Image, rng: np.random.Generator, *, length: int, font: str | Path | None = None) -> Image.Image:
    """The image with that many random letters and digits, white with a black stroke, at a random place.

    The size is the paper's for its font (Impact); a wider font is made smaller until the text fits.

    Args:
        image: RGB or greyscale.
        rng: Where letters and place come from.
        length: Number of characters.
        font: A TrueType file; by default the font inside Pillow.

    Raises:
        InputError: The text does not fit even at the smallest size.
    """
    letters = random_letters(rng, length, line_length(image.size))
    out = image.copy()
    draw = ImageDraw.Draw(out)
    for size in range(font_size(image.size), 0, -1):
        chosen = load_font(font, size)
        left, top, right, bottom = draw.multiline_textbbox(
            (0, 0), letters, chosen, align="center", stroke_width=_STROKE
        )
        free_x, free_y = int(image.width - (right - left)) - 1, int(image.height - (bottom - top)) - 1
        if free_x > 1 and free_y > 1:
            place = (int(rng.integers(1, free_x)), int(rng.integers(1, free_y)))
            # As in the paper the box's own offset is not subtracted, so letters may hang over the bottom edge.
            draw.multiline_text(
                place, letters, "white", chosen, align="center", stroke_width=_STROKE, stroke_fill="black"
            )
            return out
    raise InputError(f"{length} letters do not fit on an image of {image.width}x{image.height}; write fewer")


def random_letters(rng: np.random.Generator, length: int, line: int) -> str:
    """That many characters of A-Z, a-z, 0-9 with a newline after every `line` of them."""
    letters = "".join(ALPHABET[i] for i in rng.integers(0, len(ALPHABET), length))
    return "\n".join(letters[i : i + line] for i in range(0, length, line))


def line_length(size: tuple[int, int]) -> int:
    """Characters a line: 20, fewer on images more than twice as high as wide."""
    width, height = size
    return _LINE if height < 2 * width else max(1, _LINE * width // height)


def font_size(size: tuple[int, int]) -> int:
    """The paper's font size for an image of that width and height.

    Example:
        >>> font_size((481, 321))
        38
    """
    width, height = size
    long = not 0.5 < width / height < 2
    side = (width + height) / 2 if long else width
    points = round(40 * side / 512) if min(size) >= 100 else round(6 * side / 100)
    return max(1, points - 2 if long else points)


def dejavu_sans_bold() -> Path:
    """The DejaVu Sans Bold file inside matplotlib.

    Raises:
        DependencyMissing: matplotlib is not installed.
    """
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise DependencyMissing('DejaVu Sans Bold comes with matplotlib: pip install -e ".[benchmark]"')
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"


@functools.lru_cache(maxsize=256)
def load_font(font: str | Path | None, size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """That TrueType file, or the font inside Pillow, at that size."""
    return ImageFont.load_default(size) if font is None else ImageFont.truetype(font, size)
