"""The witness of a picture: its keypoints, packed, so that a second look needs no image file."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simsearch.errors import InputError
from simsearch.images.preprocess import OUTSIDE, Preprocessing

POINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("size", "u1"), ("angle", "u1"), ("bits", "<u8", 2)])
"""A keypoint in 22 bytes: x and y in 65,536ths of the longer side, the side of its patch as 2^(-size / 32) of it, its
direction in 256ths of a turn, clockwise from the right, and its descriptor."""
DEFAULT_BYTES = 2048
LONGER_SIDE = 320  # pixels at which keypoints are looked for
_NONE, _ONE = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
SEEN = Preprocessing(LONGER_SIDE, "inside", LONGER_SIDE, "bilinear", _NONE, _ONE, alpha="contrast", icc="srgb")
"""From a picture to the pixels in which its keypoints are looked for."""
_LEVELS, FACTOR = 6, 2**-0.5
ASKED = 2
"""How many times the keypoints of an item a query has: they are not stored, and a part of it may be the item."""
PLACES = "places"
"""The name for how witnesses are searched: by the places on which two pictures agree."""
VIEWS = ("plain", "mirrored", "inverted")

Witness = NDArray[np.void]
"""(n,) of `POINT`, the finest level first."""


def witness(image: Image.Image, *, most_bytes: int = DEFAULT_BYTES) -> Witness:
    """Return the keypoints of a picture, none for a blank one.

    Args:
        image: In any mode, upright.
        most_bytes: Room for keypoints of 22 bytes each.

    Raises:
        InputError: There is no room for one.
    """
    return witness_of(luma_of(SEEN.apply(image.convert("RGB"))), most_bytes=most_bytes)


def luma_of(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return the luminance of a picture, without what is outside of it, from its pixels by `SEEN`: (s, s, 3) uint8."""
    high, wide = _lines_inside(pixels), _lines_inside(pixels.swapaxes(0, 1))
    return Image.fromarray(np.ascontiguousarray(pixels[:high, :wide])).convert("L")


def _lines_inside(pixels: NDArray[np.uint8]) -> int:
    """Return how many lines of pixels (n, m, 3) there are up to the last that is not all outside, 1 at least."""
    outside = np.array(OUTSIDE, np.uint8)
    maybe = len(pixels) - int(np.flatnonzero((pixels[:, 0] != outside).any(axis=1)).max(initial=0)) - 1
    while maybe and not (pixels[-maybe:] == outside).all():  # which a picture with such a border has
        maybe -= 1
    return len(pixels) - maybe


def witness_of(luma: Image.Image, *, most_bytes: int = DEFAULT_BYTES) -> Witness:
    """Return the keypoints of a picture of mode L whose longer side is `LONGER_SIDE`, as `witness`."""
    from simsearch.spatial.keypoint_kernels import BORDER, PATTERN, RADIUS, keypoints

    count = most_bytes // POINT.itemsize
    if count < 1:
        raise InputError(f"{most_bytes} bytes hold no keypoint; one takes {POINT.itemsize}")
    shares = np.cumsum(FACTOR ** np.arange(_LEVELS))
    room = np.diff(np.round(count * shares / shares[-1]).astype(int), prepend=0).tolist()
    parts = []
    for level, most in enumerate(room):
        small = np.asarray(resized(luma, FACTOR**level))
        if min(small.shape) <= 2 * BORDER:
            break
        found, bits = np.zeros((most, 3)), np.zeros((most, 2), np.uint64)
        part = np.zeros(keypoints(small, most, PATTERN, found, bits), POINT)
        longer = max(small.shape)
        part["x"], part["y"] = ((found[: len(part), :2] + 0.5) / longer * 65536).astype(np.uint16).T
        part["size"] = round(-32 * math.log2((2 * RADIUS + 1) / longer))
        part["angle"] = np.round(found[: len(part), 2] / math.tau * 256).astype(np.int64) % 256
        part["bits"] = bits[: len(part)]
        parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0, POINT)


def resized(image: Image.Image, scale: float) -> Image.Image:
    """Return a picture with both sides scaled, to 1 pixel at least."""
    wide, high = (max(1, round(side * scale)) for side in image.size)
    return image if (wide, high) == image.size else image.resize((wide, high), Image.Resampling.BILINEAR)


def query_witnesses(image: Image.Image, *, most_bytes: int = DEFAULT_BYTES) -> dict[str, Witness]:
    """Return the witnesses of a picture as it is, mirrored and inverted, by the name of the view.

    Descriptors know turns and scales, but neither mirrors nor negatives: a query is asked as each.

    Args:
        image: In any mode, upright.
        most_bytes: Of the witness of an item; each view has room for `ASKED` times as much.
    """
    return witnesses_of(SEEN.apply(image.convert("RGB")), most_bytes=most_bytes)


def witnesses_of(pixels: NDArray[np.uint8], *, most_bytes: int = DEFAULT_BYTES) -> dict[str, Witness]:
    """Return the witnesses of a picture as `query_witnesses`, from its pixels by `SEEN`: (s, s, 3) uint8."""
    luma = luma_of(pixels)
    views = (luma, ImageOps.mirror(luma), ImageOps.invert(luma))
    room = ASKED * (most_bytes // POINT.itemsize) * POINT.itemsize
    return {name: witness_of(view, most_bytes=room) for name, view in zip(VIEWS, views, strict=True)}


def packed(points: Witness, most_bytes: int) -> NDArray[np.uint8]:
    """Return a witness as one row of bytes, (room,) uint8: its keypoints, then zeros."""
    row = np.zeros(most_bytes // POINT.itemsize, POINT)
    row[: len(points)] = points
    return row.view(np.uint8)


def points_of(row: NDArray[np.uint8]) -> Witness:
    """Return the witness of a packed row; no keypoint has the size 0."""
    points = np.ascontiguousarray(row).view(POINT)
    return points[points["size"] > 0]
