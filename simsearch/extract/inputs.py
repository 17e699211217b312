"""Every form in which the API takes an image, as an upright RGB PIL image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, fromarray
from PIL.ImageOps import exif_transpose

from simsearch.errors import ImageRejected, InputError, RejectCode
from simsearch.images.apart import decode_apart
from simsearch.images.colour import to_rgb
from simsearch.images.limits import Limits
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import printable, read_range


def are_several(images: Any) -> bool:
    """Tell several images (a sequence, or an array or tensor with one dimension more) from a single one."""
    if isinstance(images, np.ndarray) or hasattr(images, "detach"):
        return bool(images.ndim == 4)
    return isinstance(images, Sequence) and not isinstance(images, (str, bytes))


def as_rgb(image: Any, preprocessing: Preprocessing, limits: Limits | None = None) -> Image:
    """Return any image that the API takes as an upright RGB PIL image.

    Args:
        image: A path (str, bytes or path object), a PIL image, a (h, w), (h, w, 3) or (h, w, 4) array of uint8 or
            uint16, or a (3, h, w) uint8 or [0, 1] float tensor.
        preprocessing: Whether EXIF turns it, how colours and transparency are seen, and how large a decoded file must
            be.
        limits: What decoding a file may cost; that is done in a process of its own, which is killed in time.

    Raises:
        ImageRejected: the file, or a PIL image that is still on disk, cannot be decoded, or there are no pixels.
        InputError: the value is no image.
    """
    if isinstance(image, (str, bytes, os.PathLike)):
        return _decoded_file(os.fsencode(image), preprocessing, limits or Limits())
    seen = image if isinstance(image, Image) else fromarray(_as_array(image))
    picture = _upright(seen, preprocessing)
    if 0 in picture.size:
        raise ImageRejected(RejectCode.EMPTY, f"an image of {picture.width} x {picture.height} has no pixels")
    return picture


def _upright(image: Image, preprocessing: Preprocessing) -> Image:
    try:
        upright = exif_transpose(image) if preprocessing.exif else image
        return to_rgb(upright, alpha=preprocessing.alpha, icc=preprocessing.icc)
    except Exception as error:  # a file that was opened and not yet decoded raises whatever its parser meets
        message = f"a PIL image of mode {image.mode}: {type(error).__name__}: {error}"
        raise ImageRejected(RejectCode.DECODE_ERROR, message) from error


def _decoded_file(path: bytes, preprocessing: Preprocessing, limits: Limits) -> Image:
    try:
        data = read_range(path, offset=0, size=0, limit=limits.max_bytes)
        return decode_apart(data, limits=limits, **preprocessing.decoding).image
    except ImageRejected as error:
        raise ImageRejected(error.code, f"{printable(path)}: {error.message}") from error


def _as_array(image: Any) -> NDArray[Any]:
    """Return (h, w), (h, w, 3) or (h, w, 4) uint8 or uint16 from an array or a (3, h, w) tensor."""
    if not isinstance(image, np.ndarray):
        if not hasattr(image, "detach"):
            raise InputError(f"{type(image).__name__} is no image: give a path, a PIL image, an array or a tensor")
        image = image.detach().cpu()
        image = (image.float() if image.is_floating_point() else image).numpy()  # numpy has no bfloat16
        if image.ndim != 3 or image.shape[0] != 3:
            raise InputError(f"a tensor of shape {image.shape} is no image: give (3, h, w)")
        image = image.transpose(1, 2, 0)  # (h, w, 3)
        if image.dtype.kind == "f":
            image = _from_unit(image)
    shape = image.shape
    if (
        image.dtype not in (np.uint8, np.uint16)
        or len(shape) not in (2, 3)
        or (len(shape) == 3 and shape[2] not in (3, 4))
    ):
        raise InputError(f"an array of {image.dtype} {shape} is no image: give uint8 (h, w), (h, w, 3) or (h, w, 4)")
    if image.dtype == np.uint16 and image.ndim == 3:
        image = (image / 257).round().astype(np.uint8)
    return np.ascontiguousarray(image)


def _from_unit(image: NDArray[Any]) -> NDArray[np.uint8]:
    if not (np.isfinite(image).all() and image.min(initial=0) >= 0 and image.max(initial=1) <= 1):
        raise InputError(f"a float tensor holds values in [{image.min()}, {image.max()}]: give [0, 1] or uint8")
    return (image * 255).round().astype(np.uint8)
