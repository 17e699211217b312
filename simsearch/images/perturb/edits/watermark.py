"""Watermarks: half-transparent text or a sign, once or all over the image."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from simsearch.images.perturb.edits import Font, Picture, Rng
from simsearch.images.perturb.edits import synthetic as drawn
from simsearch.images.perturb.edits.overlay import laid, one_of
from simsearch.images.perturb.edits.text import fitted, place

TEXTS = ("SAMPLE", "PREVIEW", "STOCK PHOTO", "DO NOT COPY", "© AGENCY", "WWW.EXAMPLE.COM")
_WHITE, _DARK = (255, 255, 255), (40, 40, 40)
_STROKE = 0.05  # of the font size: dark around white letters, so that the mark shows on any ground
_REACH = 0.8  # of the image's width, or less where its height does not allow it: a single mark


def watermark_text(
    image: Picture, rng: Rng, *, percent: float, text: str = "any", angle: float = 0.0, font: Font = None
) -> Picture:
    """Return the image with one large word across its middle, at that opacity in percent."""
    size = (round(_REACH * image.width), round(_REACH * image.height))
    return _single(image, _words(one_of(rng, TEXTS, text), size, font), angle, percent)


def watermark_shape(image: Picture, rng: Rng, *, percent: float, kind: str = "any", angle: float = 0.0) -> Picture:
    """Return the image with one large sign in its middle, at that opacity in percent."""
    return _single(image, _sign(one_of(rng, drawn.LOGOS, kind), round(_REACH * min(image.size))), angle, percent)


def watermark_tiled_text(
    image: Picture,
    rng: Rng,
    *,
    percent: float,
    text: str = "any",
    angle: float = 30.0,
    size: float = 0.4,
    font: Font = None,
) -> Picture:
    """Return the image with a word all over it in shifted rows from a random start, at that opacity in percent."""
    side = round(size * max(image.size))
    return _tiled(image, rng, _words(one_of(rng, TEXTS, text), (side, side), font), angle, percent)


def watermark_tiled_shape(
    image: Picture, rng: Rng, *, percent: float, kind: str = "any", angle: float = 0.0, size: float = 0.12
) -> Picture:
    """Return the image with a sign all over it in shifted rows from a random start, at that opacity in percent."""
    return _tiled(image, rng, _sign(one_of(rng, drawn.LOGOS, kind), round(size * max(image.size))), angle, percent)


def _words(text: str, size: tuple[int, int], font: Font) -> Picture | None:
    """Return the text, white with a dark rim on nothing, in that size at most; None where no letter fits."""
    points = fitted(text, size, font, stroke=_STROKE)
    if points == 0:
        return None
    out = Image.new("RGBA", size, (*_DARK, 0))
    stroke = round(_STROKE * points)
    place(
        ImageDraw.Draw(out),
        (size[0] / 2, size[1] / 2),
        text,
        points,
        font=font,
        fill=_WHITE,
        stroke_width=stroke,
        stroke_fill=_DARK,
    )
    return out.crop(out.getchannel("A").getbbox() or (0, 0, *size))


def _sign(kind: str, side: int) -> Picture | None:
    return None if side == 0 else drawn.drawn_logo(kind, _WHITE, _DARK).resize((side, side), Image.Resampling.BICUBIC)


def _single(image: Picture, stamp: Picture | None, angle: float, percent: float) -> Picture:
    if stamp is None:
        return image.copy()
    turned = stamp.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else stamp
    at = ((image.width - turned.width) // 2, (image.height - turned.height) // 2)
    return laid(image, turned, at, percent / 100)


def _tiled(image: Picture, rng: Rng, stamp: Picture | None, angle: float, percent: float) -> Picture:
    if stamp is None:
        return image.copy()
    turned = stamp.rotate(angle, Image.Resampling.BICUBIC, expand=True) if angle else stamp
    gap = max(1, turned.height // 3)
    width, height = turned.width + gap, turned.height + gap
    tile = Image.new("RGBA", (width, 2 * height), (*_DARK, 0))
    tile.paste(turned, (0, 0))
    for x in (-(width // 2), width - width // 2):  # the second row, shifted by half a step
        tile.paste(turned, (x, height))
    x, y = int(rng.integers(width)), int(rng.integers(2 * height))
    across, down = -(-(image.width + x) // width), -(-(image.height + y) // (2 * height))
    field = np.tile(np.asarray(tile), (down, across, 1))[y : y + image.height, x : x + image.width]
    return laid(image, Image.fromarray(field), (0, 0), percent / 100)
