"""Edits that move pixels: scaling, cropping, rotation, shearing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.images.perturb.edits import Picture, Rng

_BICUBIC = Image.Resampling.BICUBIC


def scaling(image: Picture, rng: Rng, *, ratio: float) -> Picture:  # noqa: ARG001
    """Return the image resized by that ratio of its sides; it keeps the new size."""
    return image.resize((max(1, round(ratio * image.width)), max(1, round(ratio * image.height))), _BICUBIC)


def thumbnail(image: Picture, rng: Rng, *, side: int) -> Picture:
    """Return the image scaled down until its longer side has that many pixels; a smaller one keeps its size."""
    return scaling(image, rng, ratio=min(1, side / max(image.size)))


def cropping_and_rescaling(image: Picture, rng: Rng, *, percent: float) -> Picture:  # noqa: ARG001
    """Return the image without that percentage of each side length, resized back to its size."""
    return image.crop(crop_box(image.size, percent)).resize(image.size, _BICUBIC)


def crop_box(size: tuple[int, int], percent: float) -> tuple[int, int, int, int]:
    """Return the centred box (left, top, right, bottom) that keeps 100 - percent of the width and of the height.

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


def rotation_and_rescaling(image: Picture, rng: Rng, *, degrees: float) -> Picture:  # noqa: ARG001
    """Return the image rotated counter-clockwise on a black canvas that holds all of it, resized back to its size."""
    return rotated(image, degrees).resize(image.size, _BICUBIC)


def rotated(image: Picture, degrees: float) -> Picture:
    """Return the image turned counter-clockwise on a larger black canvas that holds all of it."""
    return image.rotate(degrees, _BICUBIC, expand=True)


def shearing(image: Picture, rng: Rng, *, degrees: float) -> Picture:  # noqa: ARG001
    """Return the image sheared by that angle along both axes about its centre, black around, on the same canvas."""
    t = math.tan(math.radians(degrees))
    x, y = image.width / 2, image.height / 2
    a, b, d, e = 1 + t * t, -t, -t, 1.0  # output to input; determinant 1
    matrix = (a, b, x - a * x - b * y, d, e, y - d * x - e * y)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, _BICUBIC)


_CELLS = 48  # along the longer side: inside each a warp is bilinear, which moves no pixel by a visible step
_TURNS = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}

Points = NDArray[np.float64]


def flip_horizontal(image: Picture, rng: Rng) -> Picture:  # noqa: ARG001
    """Return the image mirrored left to right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def flip_vertical(image: Picture, rng: Rng) -> Picture:  # noqa: ARG001
    """Return the image mirrored top to bottom."""
    return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def turn(image: Picture, rng: Rng, *, degrees: int) -> Picture:  # noqa: ARG001
    """Return the image turned counter-clockwise by that multiple of 90 degrees, without loss."""
    return image.transpose(_TURNS[degrees]) if degrees else image.copy()


def crop_anywhere(image: Picture, rng: Rng, *, percent: float) -> Picture:
    """Return the image without that percentage of each side, cropped at a random place; it keeps the new size."""
    kept = [max(1, round(side * (100 - percent) / 100)) for side in image.size]
    left, top = (int(rng.integers(side - own + 1)) for side, own in zip(image.size, kept, strict=True))
    return image.crop((left, top, left + kept[0], top + kept[1]))


def perspective(image: Picture, rng: Rng, *, percent: float) -> Picture:
    """Return the image seen aslant: each corner moves inwards by up to that percentage of either side, black around."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float64) * image.size
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * image.size
    moved = corners + inwards * rng.random((4, 2)) * percent / 100
    return image.transform(image.size, Image.Transform.PERSPECTIVE, _homography(moved, corners), _BICUBIC)


def swirl(image: Picture, rng: Rng, *, degrees: float) -> Picture:  # noqa: ARG001
    """Return the image swirled counter-clockwise by that angle at its centre, by none at half its longer side."""
    radius = max(image.size) / 2

    def source(points: Points) -> Points:
        x, y = points.T
        fade = np.maximum(0, 1 - (x**2 + y**2) / radius**2) ** 2  # smooth at the centre and where it ends
        cos, sin = np.cos(math.radians(degrees) * fade), np.sin(math.radians(degrees) * fade)
        return np.stack([cos * x - sin * y, sin * x + cos * y], 1)

    return _warped(image, source)


def barrel(image: Picture, rng: Rng, *, percent: float) -> Picture:  # noqa: ARG001
    """Return the image with barrel distortion: a corner shows what lies that percentage further out, black around."""
    return _warped(image, _lens(image, percent / 100))


def pincushion(image: Picture, rng: Rng, *, percent: float) -> Picture:  # noqa: ARG001
    """Return the image with pincushion distortion: a corner shows what lies that percentage further in."""
    return _warped(image, _lens(image, -percent / 100))


def _lens(image: Picture, strength: float) -> Callable[[Points], Points]:
    """Return radii r mapped to r (1 + strength r^2), r being 1 in the corners: the first radial term of Brown, 1966."""
    corner = (image.width**2 + image.height**2) / 4
    return lambda points: points * (1 + strength * (points**2).sum(1, keepdims=True) / corner)


def _warped(image: Picture, source: Callable[[Points], Points]) -> Picture:
    """Return the image whose point p shows what lies at source(p); both in pixels from the centre, as rows (x, y)."""
    cell = max(1, max(image.size) / _CELLS)
    x_edges, y_edges = (np.linspace(0, side, math.ceil(side / cell) + 1).round().astype(int) for side in image.size)
    grid = np.stack(np.meshgrid(x_edges, y_edges), -1).reshape(-1, 2).astype(np.float64)
    centre = np.array(image.size) / 2
    there = (source(grid - centre) + centre).reshape(len(y_edges), len(x_edges), 2)
    # Corners of each cell as Pillow takes them: left top, left bottom, right bottom, right top.
    quads = np.concatenate([there[:-1, :-1], there[1:, :-1], there[1:, 1:], there[:-1, 1:]], -1).reshape(-1, 8)
    boxes = [
        (x0, y0, x1, y1)
        for y0, y1 in itertools.pairwise(y_edges.tolist())
        for x0, x1 in itertools.pairwise(x_edges.tolist())
    ]
    mesh = list(zip(boxes, map(tuple, quads.tolist()), strict=True))
    return image.transform(image.size, Image.Transform.MESH, mesh, _BICUBIC)


def _homography(seen: Points, source: Points) -> list[float]:
    """Return the eight numbers a..h of (ax + by + c, dx + ey + f) / (gx + hy + 1) from seen corners to sources."""
    rows = []
    for (x, y), (u, v) in zip(seen, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved: list[float] = np.linalg.solve(np.array(rows), source.reshape(-1)).tolist()
    return solved
