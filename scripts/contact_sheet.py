"""A contact sheet: queries at left, what was found at right, drawn for people to look at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from simsearch.images.formats.colour import to_rgb
from simsearch.images.source import printable

PAPER = (250, 250, 248)
INK = (32, 34, 38)
FAINT = (122, 126, 134)
RULE = (222, 223, 226)
BACKDROP = (236, 237, 239)
RIGHT = (32, 140, 82)
WRONG = (196, 60, 48)
MARGIN, GAP, GUTTER = 28, 14, 44
LINE = 21  # height of a line of text
FRAME = 4


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture with two lines of text under it.

    Attributes:
        image: The picture, of any size and mode.
        caption: The first line, in ink: what it is.
        note: The second line, fainter: where it is from.
        right: True frames it green, False red, None not at all.
    """

    image: Image.Image
    caption: str
    note: str = ""
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A query and its matches, best first."""

    query: Tile
    matches: tuple[Tile, ...]


def contact_sheet(rows: Sequence[SheetRow], *, title: str = "", subtitle: str = "", side: int = 176) -> Image.Image:
    """Return an RGB picture with one row a query: the query, an arrow, its matches.

    Args:
        rows: The queries in order; none gives a sheet with the title alone.
        title: The heading.
        subtitle: A line under the heading.
        side: Width and height in pixels of the square that each picture is fitted into.

    Example:
        >>> tile = Tile(Image.new("RGB", (30, 20)), "cat.jpg")
        >>> contact_sheet([SheetRow(tile, (tile, tile))], side=100).size
        (414, 226)
    """
    across = max((len(row.matches) for row in rows), default=0)
    heading = (44 if title or subtitle else 0) + (20 if subtitle else 0)
    row_height = side + 2 * LINE + 2 * GAP
    width = MARGIN * 2 + side + (GUTTER + across * (side + GAP) - GAP if across else 0)
    needed = max((_width(text, size) for text, size in ((title, 26), (subtitle, 15))), default=0)
    sheet = Image.new("RGB", (max(width, needed + 2 * MARGIN), MARGIN * 2 + heading + row_height * len(rows)), PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (MARGIN, MARGIN), title, size=26, fill=INK)
    _write(draw, (MARGIN, MARGIN + 36), subtitle, size=15, fill=FAINT)
    for i, row in enumerate(rows):
        top = MARGIN + heading + i * row_height
        draw.line([(MARGIN, top), (sheet.width - MARGIN, top)], fill=RULE)
        _draw_row(sheet, draw, row, top=top + GAP, side=side)
    return sheet


def shorten(name: str, limit: int) -> str:
    r"""Return a name on one line of at most `limit` characters, its middle left out, controls escaped.

    Example:
        >>> shorten("a-very-long-file-name-indeed.jpg", 16)
        'a-very-…deed.jpg'
        >>> shorten("two\nlines", 20)
        'two\\nlines'
    """
    text = printable(os.fsencode(name))
    if len(text) <= limit:
        return text
    tail = limit // 2
    return text[: limit - tail - 1] + "…" + text[len(text) - tail :]


def _draw_row(sheet: Image.Image, draw: Any, row: SheetRow, *, top: int, side: int) -> None:
    _draw_tile(sheet, draw, row.query, left=MARGIN, top=top, side=side)
    if row.matches:
        _draw_arrow(draw, MARGIN + side + GUTTER // 2, top + side // 2)
    for i, tile in enumerate(row.matches):
        _draw_tile(sheet, draw, tile, left=MARGIN + side + GUTTER + i * (side + GAP), top=top, side=side)


def _draw_tile(sheet: Image.Image, draw: Any, tile: Tile, *, left: int, top: int, side: int) -> None:
    box = (left, top, left + side - 1, top + side - 1)
    draw.rectangle(box, fill=BACKDROP)
    picture = to_rgb(tile.image).copy()
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
    if tile.right is not None:
        outer = (box[0] - FRAME, box[1] - FRAME, box[2] + FRAME, box[3] + FRAME)
        draw.rectangle(outer, outline=RIGHT if tile.right else WRONG, width=FRAME)
    ink = {True: RIGHT, False: WRONG, None: INK}[tile.right]
    _write(draw, (left, top + side + 7), _fit(tile.caption, 15, side), size=15, fill=ink)
    _write(draw, (left, top + side + 7 + LINE), _fit(tile.note, 13, side), size=13, fill=FAINT)


def _draw_arrow(draw: Any, x: int, y: int) -> None:
    draw.line([(x - 9, y), (x + 8, y)], fill=FAINT, width=2)
    draw.line([(x + 2, y - 6), (x + 8, y), (x + 2, y + 6)], fill=FAINT, width=2, joint="curve")


def _write(draw: Any, at: tuple[int, int], text: str, *, size: int, fill: tuple[int, int, int]) -> None:
    draw.text(at, shorten(text, 200), font=_font(size), fill=fill)


def _fit(text: str, size: int, width: int) -> str:
    """Return the longest shortened form of a text that is no wider than `width` pixels."""
    limit = min(len(printable(os.fsencode(text))), width)
    while limit > 1 and _width(text, size, limit) > width:
        limit -= 1
    return shorten(text, limit)


def _width(text: str, size: int, limit: int = 200) -> int:
    return int(_font(size).getlength(shorten(text, limit))) + 1


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
