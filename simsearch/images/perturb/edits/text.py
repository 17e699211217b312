"""The edit that writes random letters over the image."""

from __future__ import annotations

import functools
import importlib.util
import string
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from simsearch.errors import DependencyMissing, InputError
from simsearch.images.perturb.edits import Font, Picture, Rng

ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits
_LINE = 20  # characters before a newline
_STROKE = 2  # pixels of black around each letter


def text(image: Picture, rng: Rng, *, length: int, font: Font = None) -> Picture:
    """Return the image with that many random letters and digits, white with a black stroke, at a random place.

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


def random_letters(rng: Rng, length: int, line: int) -> str:
    """Return that many characters of A-Z, a-z, 0-9 with a newline after every `line` of them."""
    letters = "".join(ALPHABET[i] for i in rng.integers(0, len(ALPHABET), length))
    return "\n".join(letters[i : i + line] for i in range(0, length, line))


def line_length(size: tuple[int, int]) -> int:
    """Return the characters a line: 20, fewer on images more than twice as high as wide."""
    width, height = size
    return _LINE if height < 2 * width else max(1, _LINE * width // height)


def font_size(size: tuple[int, int]) -> int:
    """Return the paper's font size for an image of that width and height.

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
    """Return the DejaVu Sans Bold file inside matplotlib.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise DependencyMissing('DejaVu Sans Bold comes with matplotlib: pip install -e ".[benchmark]"')
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"


@functools.lru_cache(maxsize=256)
def load_font(font: Font, size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return that TrueType file, or the font inside Pillow, at that size."""
    return ImageFont.load_default(size) if font is None else ImageFont.truetype(font, size)


Box = tuple[int, int, int, int]
Colour = tuple[int, int, int]
WORDS = (
    *("when", "you", "find", "the", "old", "photo", "and", "nobody", "knows", "where", "it", "was", "made", "but"),
    *("every", "friend", "says", "this", "is", "just", "like", "mine", "today", "never", "again", "maybe", "look"),
    *("tomorrow", "what", "happened", "here", "first", "time", "best", "day", "ever", "wait", "for", "us"),
)
_REFERENCE = 48  # the size at which letters are measured before they are scaled to fit


def phrase(rng: Rng, low: int, high: int) -> str:
    """Return `low` to `high` words, each drawn evenly from `WORDS`."""
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


def fitted(words: str, size: tuple[int, int], font: Font, *, stroke: float = 0) -> int:
    """Return the largest font size at which the words fit into that width and height; 0 if none does.

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


def broken(words: str, size: tuple[int, int], font: Font, *, most: int = 3) -> str:
    """Return the words in the number of lines, at most `most`, that lets them be largest in that width and height."""
    candidates = [textwrap.fill(words, max(1, -(-len(words) // n)), break_long_words=False) for n in range(1, most + 1)]
    return max(candidates, key=lambda lines: fitted(lines, size, font))


def write(draw: ImageDraw.ImageDraw, box: Box, words: str, colour: Colour, *, font: Font, left: bool = False) -> None:
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
    font: Font,
    left: bool = False,
    **style: Any,
) -> None:
    """Write the words at that size so that the middle (or the middle of the left edge) of their ink is at `at`."""
    chosen = load_font(font, points)
    stroke = style.get("stroke_width", 0)
    x0, y0, x1, y1 = draw.multiline_textbbox((0, 0), words, chosen, align="center", stroke_width=stroke)
    corner = (round(at[0] - (x0 if left else (x0 + x1) / 2)), round(at[1] - (y0 + y1) / 2))
    draw.multiline_text(corner, words, font=chosen, align="center", **style)


def _extent(words: str, points: int, font: Font, stroke: float) -> tuple[float, float]:
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    width = round(stroke * points)
    box = draw.multiline_textbbox((0, 0), words, load_font(font, points), align="center", stroke_width=width)
    return box[2] - box[0], box[3] - box[1]
