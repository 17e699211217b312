"""Edits that change the values of pixels and leave their places: noise, filters, compression, enhancement."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy import ndimage

from simsearch.errors import InputError
from simsearch.images.perturb.edits import Picture, Rng, median

_JPEG_SIDE = 65500  # libjpeg's limit


def gaussian_noise(image: Picture, rng: Rng, *, variance: float) -> Picture:
    """Return the image plus normal noise of that variance on the [0, 1] scale, independent per pixel and channel."""
    values = _to_unit(image)
    return _from_unit(values + _normal(rng, values.shape, variance))


def salt_and_pepper_noise(image: Picture, rng: Rng, *, amount: float) -> Picture:
    """Return the image with that share of its array elements set to 0 or 255, each with probability 1/2."""
    values = np.array(image)
    hit = rng.random(values.shape, np.float32) < amount
    values[hit] = 255 * rng.integers(0, 2, np.count_nonzero(hit), np.uint8)
    return Image.fromarray(values)


def speckle_noise(image: Picture, rng: Rng, *, variance: float) -> Picture:
    """Return the image times one plus normal noise of that variance, independent per pixel and channel."""
    values = _to_unit(image)
    return _from_unit(values + values * _normal(rng, values.shape, variance))


def gaussian_filter(image: Picture, rng: Rng, *, size: int) -> Picture:  # noqa: ARG001
    """Return the image blurred by a Gaussian kernel of that side, as OpenCV's GaussianBlur with mirrored borders."""
    sigma = 0.6 * ((size - 1) * 0.5 - 1) + 1
    offsets = np.arange(size) - size // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    values = np.asarray(image, np.float32)
    for axis in (0, 1):
        values = ndimage.correlate1d(values, kernel, axis=axis, mode="mirror")
    return Image.fromarray(np.rint(values).astype(np.uint8))


def median_filter(image: Picture, rng: Rng, *, size: int) -> Picture:  # noqa: ARG001
    """Return the image with each pixel replaced by its channel's median in a square of that side; borders replicate."""
    return Image.fromarray(median.median_filter(np.asarray(image), size))


def jpg_compression(image: Picture, rng: Rng, *, quality: int) -> Picture:  # noqa: ARG001
    """Return the image after a JPEG round trip at that quality (4:2:0, as Pillow writes by default)."""
    if max(image.size) > _JPEG_SIDE:
        raise InputError(f"{image.width}x{image.height}: a JPEG side has at most {_JPEG_SIDE} pixels; scale it down")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as reopened:
        return reopened.copy()


def contrast_enhancement(image: Picture, rng: Rng, *, factor: float) -> Picture:  # noqa: ARG001
    """Return the image blended with a grey of its mean luma; 1 is the original, above 1 extrapolates."""
    return ImageEnhance.Contrast(image).enhance(factor)


def color_enhancement(image: Picture, rng: Rng, *, factor: float) -> Picture:  # noqa: ARG001
    """Return the image blended with its greyscale version; 1 is the original, above 1 extrapolates."""
    return ImageEnhance.Color(image).enhance(factor)


def brightness_enhancement(image: Picture, rng: Rng, *, factor: float) -> Picture:  # noqa: ARG001
    """Return the image multiplied by that factor and clipped."""
    return ImageEnhance.Brightness(image).enhance(factor)


def sharpness_enhancement(image: Picture, rng: Rng, *, factor: float) -> Picture:  # noqa: ARG001
    """Return the image blended with its smoothed version; 1 is the original, above 1 extrapolates."""
    return ImageEnhance.Sharpness(image).enhance(factor)


def _normal(rng: Rng, shape: tuple[int, ...], variance: float) -> NDArray[np.float32]:
    return rng.standard_normal(shape, np.float32) * np.float32(math.sqrt(variance))


def _to_unit(image: Picture) -> NDArray[np.float32]:
    return np.asarray(image, np.float32) / np.float32(255)


def _from_unit(values: NDArray[np.float32]) -> Picture:
    return Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))


_SAMPLE = 96  # pixels of the longer side from which colours are chosen: median cut is slow


def pixelation(image: Picture, rng: Rng, *, side: int) -> Picture:  # noqa: ARG001
    """Return the image in squares of that many pixels a side, each of its mean colour."""
    small = image.reduce(side)
    return small.resize((small.width * side, small.height * side), Image.Resampling.NEAREST).crop((0, 0, *image.size))


def blur(image: Picture, rng: Rng, *, radius: float) -> Picture:  # noqa: ARG001
    """Return the image blurred by a Gaussian whose standard deviation is that many pixels, as Pillow's GaussianBlur."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def gamma(image: Picture, rng: Rng, *, exponent: float) -> Picture:  # noqa: ARG001
    """Return the image with each value raised to that power on the [0, 1] scale; above 1 is darker."""
    table = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(int).tolist()
    return image.point(table * len(image.getbands()))


def vignette(image: Picture, rng: Rng, *, strength: float) -> Picture:  # noqa: ARG001
    """Return the image darkened by the squared distance from its centre; the corners lose that share."""
    x, y = ((2 * np.arange(side, dtype=np.float32) + 1) / side - 1 for side in image.size)
    factor = 1 - np.float32(strength / 2) * (x[None, :] ** 2 + y[:, None] ** 2)
    values = np.asarray(image, np.float32)
    factor = factor if image.mode == "L" else factor[..., None]
    return Image.fromarray(np.rint(values * factor).astype(np.uint8))


def quantisation(image: Picture, rng: Rng, *, colours: int) -> Picture:  # noqa: ARG001
    """Return the image in at most that many colours, chosen for it by median cut, as in a GIF without dither."""
    scale = min(1, _SAMPLE / max(image.size))
    width, height = (max(1, round(scale * side)) for side in image.size)
    sample = image.convert("RGB").resize((width, height), Image.Resampling.NEAREST)
    palette = sample.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return image.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE).convert(image.mode)


def posterisation(image: Picture, rng: Rng, *, bits: int) -> Picture:  # noqa: ARG001
    """Return the image with only that many leading bits of each value."""
    return ImageOps.posterize(image, bits)
