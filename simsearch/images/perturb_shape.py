"""Edits that move pixels: scaling, cropping, rotation, shearing."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

_BICUBIC = Image.Resampling.BICUBIC


def scaling(image: Image.Image, rng: np.random.Generator, *, ratio: float) -> Image.Image:  # noqa: ARG001
    """The image resized by that ratio of its sides; it keeps the new size."""
    return image.resize((max(1, round(ratio * image.width)), max(1, round(ratio * image.height))), _BICUBIC)


def thumbnail(image: Image.Image, rng: np.random.Generator, *, side: int) -> Image.Image:  # noqa: ARG001
    """The image scaled down until its longer side has that many pixels; a smaller one keeps its size."""
    ratio = min(1, side / max(image.size))
    return image.resize((max(1, round(ratio * image.width)), max(1, round(ratio * image.height))), _BICUBIC)


def cropping_and_rescaling(image: Image.Image, rng: np.random.Generator, *, percent: float) -> Image.Image:  # noqa: ARG001
    """The image without that percentage of each side length, resized back to its size."""
    return image.crop(crop_box(image.size, percent)).resize(image.size, _BICUBIC)


def crop_box(size: tuple[int, int], percent: float) -> tuple[int, int, int, int]:
    """The centred box (left, top, right, bottom) that keeps 100 - percent of the width and of the height.

    Example:
        >>> left, top, right, bottom = crop_box((481, 321), 60)
        >>> right - left, bottom - top
        (193, 129)
    """
    (left, right), (top, bottom) = (_kept(side, percent) for side in size)
    return left, top, right, bottom


def _kept(side: int, percent: float) -> tuple[int, int]:
    half = math.floor((100 - percent) * side / 200)
    middle = side // 2 + 1
    return max(0, middle - half - 1), min(side, middle + half)


def rotation_and_rescaling(image: Image.Image, rng: np.random.Generator, *, degrees: float) -> Image.Image:  # noqa: ARG001
    """The image turned counter-clockwise on a canvas that holds all of it, black around, resized back to its size."""
    return rotated(image, degrees).resize(image.size, _BICUBIC)


def rotated(image: Image.Image, degrees: float) -> Image.Image:
    """The image turned counter-clockwise on a larger black canvas that holds all of it."""
    return image.rotate(degrees, _BICUBIC, expand=True)


def shearing(image: Image.Image, rng: np.random.Generator, *, degrees: float) -> Image.Image:  # noqa: ARG001
    """The image sheared by that angle along both axes about its centre, black around, on the same canvas."""
    t = math.tan(math.radians(degrees))
    x, y = image.width / 2, image.height / 2
    a, b, d, e = 1 + t * t, -t, -t, 1.0  # output to input; determinant 1
    matrix = (a, b, x - a * x - b * y, d, e, y - d * x - e * y)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, _BICUBIC)
