"""Edits that give an image other colours: black and white, sepia, duotone, hue, warmth, channels, the negative.

A greyscale image stays greyscale; black and white, turned hues and swapped channels leave it as it is.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageChops, ImageOps

from simsearch.images.perturb.edits import Picture, Rng
from simsearch.images.perturb.edits.overlay import one_of
from simsearch.images.perturb.edits.synthetic import colour

MIXES = ("luma", "red", "green", "blue")
ORDERS = ("any", "rbg", "grb", "gbr", "brg", "bgr")
_SEPIA = (0.393, 0.769, 0.189, 0, 0.349, 0.686, 0.168, 0, 0.272, 0.534, 0.131, 0)  # rows for red, green and blue


def black_and_white(image: Picture, rng: Rng, *, mix: str = "luma") -> Picture:  # noqa: ARG001
    """Return the image in greys: its luma, or one channel alone, as through a filter of that colour."""

    def greys(rgb: Picture) -> Picture:
        return rgb.convert("L") if mix == "luma" else rgb.getchannel(mix[0].upper())

    return _recoloured(image, greys)


def sepia(image: Picture, rng: Rng, *, percent: float) -> Picture:  # noqa: ARG001
    """Return the image toned brown as an old print, blended with itself: 100 is toned entirely."""
    return _recoloured(image, lambda rgb: Image.blend(rgb, rgb.convert("RGB", _SEPIA), percent / 100))


def duotone(image: Picture, rng: Rng, *, percent: float) -> Picture:
    """Return the image as a duotone of random colours, dark and light, blended with itself: 100 is that alone."""
    dark = tuple(value // 3 for value in colour(rng))
    light = tuple(255 - value // 3 for value in colour(rng))
    return _recoloured(
        image, lambda rgb: Image.blend(rgb, ImageOps.colorize(rgb.convert("L"), dark, light), percent / 100)
    )


def hue(image: Picture, rng: Rng, *, degrees: float) -> Picture:  # noqa: ARG001
    """Return the image with every hue turned by that angle on the colour wheel, from red towards green."""
    step = round(256 * degrees / 360) % 256

    def turned(rgb: Picture) -> Picture:
        h, s, v = rgb.convert("HSV").split()
        return Image.merge("HSV", (h.point([(i + step) % 256 for i in range(256)]), s, v)).convert("RGB")

    return _recoloured(image, turned) if step else image.copy()


def warmth(image: Picture, rng: Rng, *, percent: float) -> Picture:  # noqa: ARG001
    """Return the image with that percentage more red and less blue, as by another white balance; negative is colder."""

    def balanced(rgb: Picture) -> Picture:
        red, blue = ([min(255, round(i * (1 + sign * percent / 100))) for i in range(256)] for sign in (1, -1))
        return rgb.point([*red, *range(256), *blue])

    return _recoloured(image, balanced)


def channel_swap(image: Picture, rng: Rng, *, order: str = "any") -> Picture:
    """Return the image with its red, green and blue taken in another order, as `bgr` by a program that expects that."""
    chosen = one_of(rng, ORDERS[1:], order)
    return _recoloured(image, lambda rgb: Image.merge("RGB", [rgb.getchannel(name.upper()) for name in chosen]))


def inversion(image: Picture, rng: Rng) -> Picture:  # noqa: ARG001
    """Return the negative of the image."""
    return ImageChops.invert(image)


def _recoloured(image: Picture, edit: Callable[[Picture], Picture]) -> Picture:
    """Return the edit of the image in RGB, in the image's own mode."""
    out = edit(image.convert("RGB"))
    return out if out.mode == image.mode else out.convert(image.mode)
