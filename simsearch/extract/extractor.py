"""The one face of everything that turns images into rows."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected, InputError, RejectCode, RowError
from simsearch.images.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

_DECODED_AT_ONCE = 32  # whole pictures in memory, whatever the number of paths


class Extractor(ABC):
    """Maps images to rows; networks, hashes and a user's own class share this face.

    A subclass sets the six attributes and writes `embed_pixels`; the rest follows. Lower-case attribute values
    are data that a library stores beside its rows.

    Attributes:
        name: What people call it, unique among the models in use.
        fingerprint: Hex digest of all that decides a row's meaning; rows with different fingerprints do not compare.
        dimension: Length d of a row (bytes b for packed bits).
        non_negative: Whether rows are never negative, so that js is defined on them.
        metric: The recommended distance.
        preprocessing: How an image becomes the pixels that `embed_pixels` takes.
    """

    name: str
    fingerprint: str
    dimension: int
    non_negative: bool
    metric: str
    preprocessing: Preprocessing

    @abstractmethod
    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return one row an image.

        Args:
            pixels: (n, s, s, 3) uint8 RGB, made by `preprocessing.apply`.

        Returns:
            (n, d) float32, or (n, b) uint8 for packed bits.
        """

    def rows(self, images: Sequence[Image]) -> NDArray[Any]:
        """Return one row for each RGB PIL image: (n, d), as `embed_pixels`."""
        size = self.preprocessing.size
        pixels = np.empty((len(images), size, size, 3), np.uint8)
        for i, image in enumerate(images):
            pixels[i] = self.preprocessing.apply(image)
        return self.embed_pixels(pixels)

    @final
    def embed(self, images: Any) -> NDArray[Any]:
        """Return one row an image.

        Args:
            images: One image or a sequence of them, mixed at will: a path (str, bytes or Path), a PIL image, a
                (h, w), (h, w, 3) or (h, w, 4) array of uint8 or uint16, or a (3, h, w) uint8 or [0, 1] float tensor;
                arrays and tensors may have one dimension more in front.

        Returns:
            (n, d) float32, or (n, b) uint8 for packed bits; n = 1 for a single image.

        Raises:
            ImageRejected: an image cannot be decoded; the message names it.
            InputError: a value is no image.
            RowError: the extractor gave rows of another shape than it promises.
        """
        images = list(images) if _are_several(images) else [images]
        parts = [np.empty((0, self.dimension), np.uint8 if self.metric == "hamming" else np.float32)]
        for start in range(0, len(images), _DECODED_AT_ONCE):
            decoded = [as_rgb(image, self.preprocessing) for image in images[start : start + _DECODED_AT_ONCE]]
            parts.append(checked_rows(self, self.rows(decoded), len(decoded)))
        return np.concatenate(parts)

    def runtime(self) -> dict[str, str]:
        """Return what may change a row within its tolerance: device, dtype, versions."""
        return {}


def checked_rows(extractor: Extractor, rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the rows of `count` images, floats as float32.

    Raises:
        RowError: they have another shape than the extractor promises, so that rows and images would be confused.
    """
    if rows.shape != (count, extractor.dimension):
        raise RowError(
            f"{extractor.name} gave rows of shape {rows.shape} for {count} images and a dimension of "
            f"{extractor.dimension}; its embed_pixels must return ({count}, {extractor.dimension})"
        )
    return rows.astype(np.float32, copy=False) if rows.dtype.kind == "f" else rows


def _are_several(images: Any) -> bool:
    if isinstance(images, np.ndarray) or hasattr(images, "detach"):
        return bool(images.ndim == 4)
    return isinstance(images, Sequence) and not isinstance(images, (str, bytes))


def as_rgb(image: Any, preprocessing: Preprocessing) -> Image:
    """Return any image that the API takes as an upright RGB PIL image.

    Raises:
        ImageRejected: the file, or a PIL image that is still on disk, cannot be decoded; the message names it.
        InputError: the value is no image.
    """
    import PIL.Image
    import PIL.ImageOps

    from simsearch.images.decode import to_rgb

    if isinstance(image, (str, bytes, os.PathLike)):
        return _decoded_file(os.fsencode(image), preprocessing)
    if isinstance(image, PIL.Image.Image):
        try:
            return to_rgb(PIL.ImageOps.exif_transpose(image) if preprocessing.exif else image)
        except Exception as error:  # a file that was opened and not yet decoded raises whatever its parser meets
            message = f"a PIL image of mode {image.mode}: {type(error).__name__}: {error}"
            raise ImageRejected(RejectCode.DECODE_ERROR, message) from error
    return to_rgb(PIL.Image.fromarray(_as_array(image)))


def _decoded_file(path: bytes, preprocessing: Preprocessing) -> Image:
    from simsearch.images.decode import decode
    from simsearch.images.limits import Limits
    from simsearch.images.source import printable, read_range

    try:
        data = read_range(path, offset=0, size=0, limit=Limits().max_bytes)
        return decode(data, at_least=preprocessing.at_least, exif=preprocessing.exif).image
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
