"""Edits of tone and detail in place: pixelation, blur, gamma, vignette, fewer colours."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter, ImageOps

_SAMPLE = 96  # pixels of the longer side from which colours are chosen: median cut is slow


def pixelation(image: Image.Image, rng: np.random.Generator, *, side: int) -> Image.Image:  # noqa: ARG001
    """The image in squares of that many pixels a side, each of its mean colour."""
    small = image.reduce(side)
    return small.resize((small.width * side, small.height * side), Image.Resampling.NEAREST).crop((0, 0, *image.size))


def blur(image: Image.Image, rng: np.random.Generator, *, radius: float) -> Image.Image:  # noqa: ARG001
    """The image blurred by a Gaussian whose standard deviation is that many pixels, as Pillow's GaussianBlur."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def gamma(image: Image.Image, rng: np.random.Generator, *, exponent: float) -> Image.Image:  # noqa: ARG001
    """The image with each value raised to that power on the [0, 1] scale; above 1 is darker."""
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(int).tolist()
    return image.point(table * len(image.getbands()))


def vignette(image: Image.Image, rng: np.random.Generator, *, strength: float) -> Image.Image:  # noqa: ARG001
    """The image darkened towards its corners, which lose that share, by the square of the distance from the centre."""
    x, y = ((2 * np.arange(side, dtype=np.float32) + 1) / side - 1 for side in image.size)
    factor = 1 - np.float32(strength / 2) * (x[None, :] ** 2 + y[:, None] ** 2)
    values = np.asarray(image, np.float32)
    factor = factor if image.mode == "L" else factor[..., None]
    return Image.fromarray(np.rint(values * factor).astype(np.uint8))


def quantisation(image: Image.Image, rng: np.random.Generator, *, colours: int) -> Image.Image:  # noqa: ARG001
    """The image in at most that many colours, chosen for it by median cut, as in a GIF without dither."""
    scale = min(1, _SAMPLE / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    sample = image.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
    palette = sample.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return image.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).convert(image.mode)


def posterisation(image: Image.Image, rng: np.random.Generator, *, bits: int) -> Image.Image:  # noqa: ARG001
    """The image with only that many leading bits of each value."""
    return ImageOps.posterize(image, bits)
