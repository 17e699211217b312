"""Laws of the contact sheet: its size, where pictures and frames lie, and that no name can break it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from contact_sheet import (
    BACKDROP,
    GAP,
    GUTTER,
    MARGIN,
    PAPER,
    RIGHT,
    WRONG,
    SheetRow,
    Tile,
    contact_sheet,
    shorten,
)

NAMES = [
    "",
    "a.jpg",
    "two\nlines\x1b[31m",
    "x" * 4000,
    "[red]x",
    "<img src=x>",
    "\udcff.jpg",
    "図" * 90,
    "\u202egpj.exe",
]


def tile(colour: str, size: tuple[int, int] = (60, 30), **more: object) -> Tile:
    return Tile(Image.new("RGB", size, colour), "caption", **more)  # type: ignore[arg-type]


def colours(sheet: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for _, colour in sheet.getcolors(1 << 24) or []}


@pytest.mark.parametrize("matches", [0, 1, 5])
@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_size_follows_from_rows_and_matches(rows: int, matches: int) -> None:
    side = 100
    sheet = contact_sheet([SheetRow(tile("red"), (tile("blue"),) * matches)] * rows, side=side)
    assert sheet.mode == "RGB"
    across = side + (GUTTER + matches * (side + GAP) - GAP if matches else 0)
    assert sheet.width == (2 * MARGIN + across if rows else 2 * MARGIN + side)
    one = contact_sheet([SheetRow(tile("red"), ())], side=side).height - 2 * MARGIN
    assert sheet.height == 2 * MARGIN + rows * one


def test_a_picture_looks_as_it_does_to_the_network() -> None:
    """Deep greys are scaled, not clipped; what is transparent is white, not its hidden colour."""
    grey = Image.fromarray(np.full((40, 40), 128 * 257, np.uint16))
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    found = colours(contact_sheet([SheetRow(Tile(grey, ""), (Tile(clear, ""),))], side=100))
    assert {(128, 128, 128), (255, 255, 255)} <= found
    assert (255, 0, 0) not in found
    assert clear.size == (40, 40), "the caller's picture is not changed"


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (500, 500), (101, 99)])
def test_a_picture_is_drawn_whole_inside_its_square(size: tuple[int, int]) -> None:
    side = 100
    pixels = np.asarray(contact_sheet([SheetRow(tile("red", size), ())], side=side))
    red = np.argwhere((pixels == (255, 0, 0)).all(2))
    assert len(red)
    (top, left), (bottom, right) = red.min(0), red.max(0)
    assert left >= MARGIN
    assert right < MARGIN + side
    assert bottom - top < side
    wide, high = right - left + 1, bottom - top + 1
    assert max(wide, high) == min(side, max(size))


@pytest.mark.parametrize(("right", "frame"), [(True, RIGHT), (False, WRONG), (None, None)])
def test_a_frame_says_right_or_wrong(right: bool | None, frame: tuple[int, int, int] | None) -> None:
    found = colours(contact_sheet([SheetRow(tile("white"), (tile("white", right=right),))]))
    assert {colour for colour in (RIGHT, WRONG) if colour in found} == ({frame} if frame else set())
    assert {PAPER, BACKDROP} <= found


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_drawn_inside_its_column(name: str) -> None:
    side = 90
    row = SheetRow(tile("red"), (Tile(Image.new("RGB", (9, 9)), name, name),))
    sheet = contact_sheet([row], side=side)
    assert sheet.width == 2 * MARGIN + 2 * side + GUTTER
    beyond = sheet.crop((sheet.width - MARGIN + 1, 0, sheet.width, sheet.height))
    assert beyond.getcolors() == [(beyond.width * beyond.height, PAPER)]


@pytest.mark.parametrize("limit", [1, 2, 7, 40])
@pytest.mark.parametrize("name", NAMES)
def test_a_shortened_name_is_printable_and_no_longer_than_asked(name: str, limit: int) -> None:
    short = shorten(name, limit)
    assert len(short) <= max(limit, 0)
    assert short.isprintable()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_any_mode_are_drawn_and_not_changed(mode: str) -> None:
    picture = Image.new(mode, (300, 200))
    contact_sheet([SheetRow(Tile(picture, "x"), ())])
    assert (picture.mode, picture.size) == (mode, (300, 200))


def test_the_title_widens_a_narrow_sheet() -> None:
    row = SheetRow(tile("red"), ())
    assert contact_sheet([row], title="a long title " * 4).width > contact_sheet([row]).width
