"""The witness of a picture: its keypoints, packed, so that a second look needs no image file."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simsearch.errors import InputError

POINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("size", "u1"), ("angle", "u1"), ("bits", "<u8", 2)])
"""A keypoint in 22 bytes: x and y in 65,536ths of the longer side, the side of its patch as 2^(-size / 32) of it, its
direction in 256ths of a turn, clockwise from the right, and its descriptor."""
DEFAULT_BYTES = 2048
LONGER_SIDE = 320  # pixels at which keypoints are looked for
_LEVELS, _FACTOR = 6, 2**-0.5
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
    from simsearch.spatial.keypoint_kernels import BORDER, PATTERN, RADIUS, keypoints

    count = most_bytes // POINT.itemsize
    if count < 1:
        raise InputError(f"{most_bytes} bytes hold no keypoint; one takes {POINT.itemsize}")
    whole = _resized(image.convert("L"), LONGER_SIDE / max(image.size))
    shares = np.cumsum(_FACTOR ** np.arange(_LEVELS))
    room = np.diff(np.round(count * shares / shares[-1]).astype(int), prepend=0).tolist()
    parts = []
    for level, most in enumerate(room):
        small = np.asarray(_resized(whole, _FACTOR**level))
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


def _resized(image: Image.Image, scale: float) -> Image.Image:
    wide, high = (max(1, round(side * scale)) for side in image.size)
    return image if (wide, high) == image.size else image.resize((wide, high), Image.Resampling.BILINEAR)


def query_witnesses(image: Image.Image, *, most_bytes: int = DEFAULT_BYTES) -> dict[str, Witness]:
    """Return the witnesses of a picture as it is, mirrored and inverted, by the name of the view.

    Descriptors know turns and scales, but neither mirrors nor negatives: a query is asked as each.
    """
    grey = image.convert("L")
    views = (grey, ImageOps.mirror(grey), ImageOps.invert(grey))
    return {name: witness(view, most_bytes=most_bytes) for name, view in zip(VIEWS, views, strict=True)}
