"""Edits that lay something over the image, another image, an emoji, a logo; or the image over another one."""

from __future__ import annotations

import math

from PIL import Image

from simsearch.images.perturb.edits import Picture, Rng
from simsearch.images.perturb.edits import synthetic as drawn
from simsearch.images.perturb.edits.second_image import other

PLACES = ("any", "centre", "corner", "top_left", "top_right", "bottom_left", "bottom_right")
_CORNERS = PLACES[3:]
_MARGIN = 0.04  # between a thing in a corner and the edges, as a share of the image's shorter side


def overlay_image(
    image: Picture, rng: Rng, *, percent: float, opacity: float = 1.0, place: str = "any", picture: str | None = None
) -> Picture:
    """Return the image with another one of its shape over that percentage of its area."""
    share = math.sqrt(percent / 100)
    size = (round(share * image.width), round(share * image.height))
    if 0 in size:
        return image.copy()
    layer = other(rng, size, picture)
    return laid(image, layer, spot(rng, image.size, size, place), opacity)


def laid_on_image(
    image: Picture, rng: Rng, *, percent: float, place: str = "any", picture: str | None = None
) -> Picture:
    """Return the image scaled to that percentage of the area of another one of its size and laid over it."""
    share = math.sqrt(percent / 100)
    size = (max(1, round(share * image.width)), max(1, round(share * image.height)))
    ground = other(rng, image.size, picture).convert(image.mode)
    return laid(ground, image.resize(size, Image.Resampling.BICUBIC), spot(rng, image.size, size, place))


def blend_image(image: Picture, rng: Rng, *, percent: float, picture: str | None = None) -> Picture:
    """Return the image with another one of its size over all of it, at that opacity in percent."""
    return laid(image, other(rng, image.size, picture), (0, 0), percent / 100)


def emoji(
    image: Picture, rng: Rng, *, percent: float, place: str = "any", kind: str = "any", count: int = 1
) -> Picture:
    """Return the image with emoji of that percentage of its shorter side, each of a random kind at a random place."""
    side = round(percent / 100 * min(image.size))
    out = image.copy()
    for _ in range(count if side else 0):
        layer = drawn.emoji(one_of(rng, drawn.EMOJI, kind)).resize((side, side), Image.Resampling.BICUBIC)
        out = laid(out, layer, spot(rng, image.size, layer.size, place))
    return out


def logo(
    image: Picture, rng: Rng, *, percent: float, place: str = "corner", kind: str = "any", opacity: float = 1.0
) -> Picture:
    """Return the image with a logo as wide as that percentage of its shorter side, by default in one of the corners."""
    side = round(percent / 100 * min(image.size))
    if not side:
        return image.copy()
    layer = drawn.logo(rng, one_of(rng, drawn.LOGOS, kind)).resize((side, side), Image.Resampling.BICUBIC)
    return laid(image, layer, spot(rng, image.size, layer.size, place), opacity)


def one_of(rng: Rng, kinds: tuple[str, ...], kind: str) -> str:
    """Return the kind named, or for `any` one of them, drawn evenly."""
    return kinds[int(rng.integers(len(kinds)))] if kind == "any" else kind


def laid(image: Picture, layer: Picture, at: tuple[int, int], opacity: float = 1.0) -> Picture:
    """Return a copy of the image with the layer's left top corner at `at`, its transparency times `opacity`."""
    mask = layer.getchannel("A") if layer.mode == "RGBA" else Image.new("L", layer.size, 255)
    if opacity < 1:
        mask = mask.point([round(opacity * value) for value in range(256)])
    out = image.copy()
    out.paste(layer.convert(image.mode), at, mask)
    return out


def spot(rng: Rng, size: tuple[int, int], inner: tuple[int, int], place: str) -> tuple[int, int]:
    """Return the left top corner of a thing of size `inner` on an image of that size.

    Args:
        rng: For `any` every position at which all of it lies on the image is equally likely; for `corner` every corner.
        size: Width and height of the image.
        inner: Width and height of the thing, no larger.
        place: One of `PLACES`; corners keep a margin where there is room for it.
    """
    free = (size[0] - inner[0], size[1] - inner[1])
    if place == "any":
        return int(rng.integers(free[0] + 1)), int(rng.integers(free[1] + 1))
    if place == "centre":
        return free[0] // 2, free[1] // 2
    corner = one_of(rng, _CORNERS, "any" if place == "corner" else place)
    margin = round(_MARGIN * min(size))
    near = [min(margin, room // 2) for room in free]
    far = [room - edge for room, edge in zip(free, near, strict=True)]
    return (near if "left" in corner else far)[0], (near if "top" in corner else far)[1]
