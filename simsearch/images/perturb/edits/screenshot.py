"""Screenshots: the image inside the interface of a phone's or a desktop's program."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from simsearch.images.perturb.edits import Font, Picture, Rng
from simsearch.images.perturb.edits.layout import theme_colours
from simsearch.images.perturb.edits.synthetic import colour, picture
from simsearch.images.perturb.edits.text import Box, Colour, ellipse, phrase, rectangle, write

_BLUE = (29, 155, 240)
_ABOVE_PHONE, _ABOVE_DESKTOP = 0.36, 0.85  # shares of the interface's height that lie above the image


@dataclass(frozen=True, slots=True)
class _Screen:
    """A canvas being drawn on, with its colours: `faint` for bars, `soft` for less important words."""

    canvas: Picture
    draw: ImageDraw.ImageDraw
    ground: Colour
    ink: Colour
    faint: Colour
    soft: Colour
    font: Font

    @classmethod
    def blank(cls, size: tuple[int, int], rng: Rng, theme: str, font: Font) -> _Screen:
        ground, ink = theme_colours(rng, theme)
        grey = 64 if ground < ink else 191
        canvas = Image.new("RGB", size, ground)
        return cls(canvas, ImageDraw.Draw(canvas), ground, ink, (grey, grey, grey), (128, 128, 128), font)

    def text(self, box: Box, words: str, ink: Colour | None = None) -> None:
        write(self.draw, box, words, ink or self.ink, font=self.font, left=True)

    def with_image(self, image: Picture, at: tuple[int, int]) -> Picture:
        out = self.canvas.convert(image.mode)
        out.paste(image, at)
        return out


def screenshot_phone(image: Picture, rng: Rng, *, percent: float, theme: str = "any", font: Font = None) -> Picture:
    """Return the image at full width in a phone's feed: bars, title, buttons and words take that percentage."""
    width, height = image.size
    chrome = round(height * percent / (100 - percent))
    above = round(_ABOVE_PHONE * chrome)
    screen = _Screen.blank((width, height + chrome), rng, theme, font)
    status = round(0.14 * chrome)
    _status_bar(screen, rng, (0, 0, width, status))
    _author(screen, rng, (0, status, width, above))
    top, below = above + height, chrome - above
    buttons = top + round(0.32 * below)
    _buttons(screen, rng, (0, top, width, buttons))
    _lines(screen, rng, (0, buttons, width, top + below), 4)
    return screen.with_image(image, (0, above))


def screenshot_desktop(image: Picture, rng: Rng, *, percent: float, theme: str = "any", font: Font = None) -> Picture:
    """Return the image in a browser's window: tabs, address, heading, column and task bar take that share a side."""
    scale = 100 / (100 - percent)
    width, height = round(scale * image.width), round(scale * image.height)
    chrome = height - image.height
    above = round(_ABOVE_DESKTOP * chrome)
    screen = _Screen.blank((width, height), rng, theme, font)
    tabs, address = round(0.3 * above), round(0.62 * above)
    _tab_bar(screen, rng, (0, 0, width, tabs))
    _address_bar(screen, rng, (0, tabs, width, address))
    screen.text(_inset((0, address, image.width, above), 0.2), phrase(rng, 3, 7).capitalize())
    _side_column(screen, rng, (image.width, above, width, above + image.height))
    _task_bar(screen, rng, (0, above + image.height, width, height))
    return screen.with_image(image, (0, above))


def _status_bar(screen: _Screen, rng: Rng, box: Box) -> None:
    left, top, right, bottom = _inset(box, 0.2)
    unit = _unit((left, top, right, bottom))
    screen.text((left + unit, top, (left + right) // 2, bottom), f"{rng.integers(24)}:{rng.integers(60):02d}")
    rectangle(screen.draw, (right - 3 * unit, top, right - unit, bottom), screen.faint)  # the battery, then its charge
    charge = 1 + int(rng.integers(2 * unit + 1))
    rectangle(screen.draw, (right - 3 * unit, top, min(right - unit, right - 3 * unit + charge), bottom), screen.ink)
    for i in range(4):  # bars of the signal, each higher than the last
        x, step = right - 6 * unit + i * max(1, unit // 2), (bottom - top) * (i + 1) // 4
        rectangle(screen.draw, (x, bottom - step, x + max(1, unit // 3), bottom), screen.ink)


def _author(screen: _Screen, rng: Rng, box: Box) -> None:
    left, top, right, bottom = _inset(box, 0.12)
    unit = _unit((left, top, right, bottom))
    ellipse(screen.draw, (left + unit // 2, top, left + unit // 2 + unit, top + unit), colour(rng))
    middle = (top + bottom) // 2
    screen.text((left + 2 * unit, top, right - 2 * unit, middle), phrase(rng, 2, 2).replace(" ", "_"))
    screen.text((left + 2 * unit, middle, right - 2 * unit, bottom), f"{rng.integers(1, 60)} min", screen.soft)
    for i in range(3):
        x = right - unit + i * max(1, unit // 4)
        ellipse(screen.draw, (x, middle, x + max(1, unit // 7), middle + max(1, unit // 7)), screen.ink)


def _buttons(screen: _Screen, rng: Rng, box: Box) -> None:
    left, top, right, bottom = _inset(box, 0.2)
    unit = _unit((left, top, right, bottom))
    bottom = top + unit
    heart = (224, 36, 58) if rng.random() < 0.5 else screen.ink
    x = left + unit // 2
    for side in (0, unit // 2):
        ellipse(screen.draw, (x + side, top, x + side + unit // 2 + 1, top + unit // 2 + 1), heart)
    screen.draw.polygon([(x, top + unit * 0.35), (x + unit, top + unit * 0.35), (x + unit / 2, bottom)], heart)
    x += 3 * unit // 2
    ellipse(screen.draw, (x, top, x + unit, bottom), screen.ink)
    thin = max(1, unit // 9)
    ellipse(screen.draw, (x + thin, top + thin, x + unit - thin, bottom - thin), screen.ground)
    x += 3 * unit // 2
    screen.draw.polygon([(x, top), (x + unit, top + unit / 3), (x + unit / 3, bottom)], screen.ink)
    x = right - 3 * unit // 2
    half, notch = x + unit / 2, (x + unit / 4, bottom - unit / 3)
    screen.draw.polygon([(x, top), (half, top), (half, bottom), notch, (x, bottom)], screen.ink)


def _lines(screen: _Screen, rng: Rng, box: Box, count: int) -> None:
    left, top, right, bottom = box
    edge = round(0.03 * (right - left))
    for i in range(count):
        words = f"{rng.integers(2, 5000):,} likes" if i == 0 else phrase(rng, 3, 8)
        y, next_y = (top + (bottom - top) * line // count for line in (i, i + 1))
        screen.text(_inset((left + edge, y, right - edge, next_y), 0.12), words, None if i < 2 else screen.soft)


def _tab_bar(screen: _Screen, rng: Rng, box: Box) -> None:
    rectangle(screen.draw, box, screen.faint)
    left, top, right, bottom = _inset(box, 0.25)
    unit = _unit((left, top, right, bottom))
    for i, light in enumerate(((237, 106, 94), (245, 191, 79), (97, 197, 84))):
        x = left + unit // 2 + 3 * i * unit // 2
        ellipse(screen.draw, (x, top, x + unit, top + unit), light)
    x = left + 6 * unit
    rectangle(screen.draw, (x, top - (bottom - top) // 4, x + (right - left) // 3, box[3]), screen.ground)
    screen.text((x + unit, top, x + (right - left) // 3 - unit, bottom), phrase(rng, 2, 3).capitalize())


def _address_bar(screen: _Screen, rng: Rng, box: Box) -> None:
    left, top, right, bottom = _inset(box, 0.2)
    unit = _unit((left, top, right, bottom))
    for i, direction in enumerate((-1, 1)):
        x = left + unit + 3 * i * unit // 2
        middle, reach = (top + bottom) / 2, 0.35 * unit
        near, tip = x - direction * reach, (x + direction * reach, middle)
        screen.draw.polygon([(near, middle - reach), (near, middle + reach), tip], screen.ink)
    rectangle(screen.draw, (left + 4 * unit, top, right - unit, bottom), screen.faint)
    address = f"https://www.example.com/{phrase(rng, 2, 4).replace(' ', '-')}"
    screen.text(_inset((left + 5 * unit, top, right - 2 * unit, bottom), 0.15), address)


def _side_column(screen: _Screen, rng: Rng, box: Box) -> None:
    left, top, right, bottom = box
    edge = round(0.1 * (right - left))
    side = right - left - 2 * edge
    y = top + edge
    while side >= 8 and y + side < bottom:
        screen.canvas.paste(picture(rng, (side, round(0.6 * side))), (left + edge, y))
        y += round(0.65 * side)
        screen.text((left + edge, y, right - edge, y + round(0.2 * side)), phrase(rng, 2, 4))
        y += round(0.3 * side)


def _task_bar(screen: _Screen, rng: Rng, box: Box) -> None:
    rectangle(screen.draw, box, screen.faint)
    left, top, right, bottom = _inset(box, 0.15)
    unit = _unit((left, top, right, bottom))
    for i in range(6):
        x = left + unit + 3 * i * unit // 2
        rectangle(screen.draw, (x, top, x + unit, bottom), _BLUE if i == 0 else colour(rng))
    screen.text((right - 4 * unit, top, right, bottom), f"{rng.integers(24)}:{rng.integers(60):02d}")


def _inset(box: Box, share: float) -> Box:
    """Return the box without that share of its height above and below."""
    edge = round(share * (box[3] - box[1]))
    return box[0], box[1] + edge, box[2], box[3] - edge


def _unit(box: Box) -> int:
    """Return how wide and high a sign in that bar is: its height, less in narrow ones."""
    return max(0, min(box[3] - box[1], (box[2] - box[0]) // 12))
