"""Every form in which the API takes an image: what is on a disk, what is a file's bytes, what is pixels."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image, fromarray
from PIL.ImageFile import ImageFile
from PIL.ImageOps import exif_transpose

from simsearch.errors import ImageRejected, InputError, RejectCode, shown
from simsearch.images.formats.colour import to_rgb
from simsearch.images.formats.sniff import sniff
from simsearch.images.paths import raw as name_bytes
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Limits, printable, read_range, reason
from simsearch.images.workers.single import decode_apart

FORMS = "a path, the bytes of a file, an open file, a PIL image, an array or a tensor"
_ARRAYS = "uint8, uint16, bool, or floats in [0, 1] as (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)"
_TENSORS = "(1, h, w) or (3, h, w)"
_PATH_MAX = 4096  # bytes that Linux takes for a path


def are_several(images: Any) -> bool:
    """Tell several images (an iterable, or an array or tensor with one dimension more) from a single one."""
    if isinstance(images, np.ndarray) or is_tensor(images):
        return bool(images.ndim == 4)
    return isinstance(images, Iterable) and not isinstance(images, (Mapping, Set)) and not is_image(images)


def is_image(value: Any) -> bool:
    """Return whether a value has a form that an image may have; its contents are not looked at."""
    as_bytes_or_pixels = isinstance(value, (bytes, bytearray, memoryview, Image, np.ndarray))
    return as_bytes_or_pixels or is_path(value) or is_tensor(value) or _is_file(value)


def is_path(value: Any) -> bool:
    """Return whether a value names a file: text, path objects, and bytes that do not seem to be a picture.

    Bytes are a picture where they hold a NUL or are longer than any path, or, if no file of that name is there, where
    they begin as a picture does.

    Example:
        >>> is_path("a.png"), is_path(b"a.png"), is_path(b"GIF89a" + bytes(9)), is_path(bytearray(b"a.png"))
        (True, True, False, False)
    """
    return isinstance(value, (str, os.PathLike)) or (isinstance(value, bytes) and not _is_file_content(value))


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor; torch is not loaded to find out."""
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)  # none yet while another thread loads it
    return tensor is not None and isinstance(value, tensor)


def pictures(
    image: Any, preprocessings: Sequence[Preprocessing], limits: Limits | None = None
) -> bytes | tuple[Image, ...]:
    """Return an image that is no path as it was given: the bytes of a file, or pixels as upright RGB PIL images.

    Args:
        image: The bytes of a file, a file opened for reading bytes (read from where it stands), a PIL image, an array
            (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) of uint8, uint16, bool or floats in [0, 1], or a tensor of the
            same types (1, h, w) or (3, h, w).
        preprocessings: Of each RGB image, whether EXIF turns it, and how colours and transparency are seen.
        limits: What decoding a PIL image may cost that is still on disk; that is done in a process of its own.

    Raises:
        ImageRejected: A file cannot be read, a PIL image that is still on disk cannot be decoded, or there are no
            pixels.
        InputError: The value is no image.
    """
    if isinstance(image, (bytes, bytearray)):
        return bytes(image)
    if isinstance(image, memoryview):
        return _bytes_of(image)
    if isinstance(image, Image):
        data = _undecoded(image)
        pixels = [
            _upright(image, how) if data is None else _whole(data, how, limits or Limits()) for how in preprocessings
        ]
    elif isinstance(image, np.ndarray) or is_tensor(image):
        array = _as_array(image)
        whole = fromarray(array) if array.size else _no_pixels(array.shape[1::-1])
        pixels = [_upright(whole, how) for how in preprocessings]
    elif _is_file(image):
        return _read(image)
    else:
        raise InputError(f"{shown(image)} is no image: give {FORMS}")
    return tuple(one if 0 not in one.size else _no_pixels(one.size) for one in pixels)


def as_rgb(image: Any, preprocessing: Preprocessing, limits: Limits | None = None) -> Image:
    """Return any image that the API takes, a path or what `pictures` takes, as an upright RGB PIL image.

    Args:
        image: One image.
        preprocessing: Whether EXIF turns it, how colours and transparency are seen, and how large a decoded file must
            be.
        limits: What decoding a file may cost; that is done in a process of its own, which is killed in time.

    Raises:
        ImageRejected: It cannot be read or decoded, or there are no pixels.
        InputError: The value is no image.
    """
    if is_path(image):
        return _decoded_file(name_bytes(image), preprocessing, limits or Limits())
    given = pictures(image, (preprocessing,), limits)
    return given[0] if isinstance(given, tuple) else _decoded(given, preprocessing, limits or Limits())


def _is_file_content(data: bytes) -> bool:
    if len(data) > _PATH_MAX or b"\0" in data:
        return True
    try:
        begins_as_picture = sniff(data) != "BMP"  # "BM" begins names too
    except ImageRejected:
        return False
    return begins_as_picture and not os.path.lexists(data)


def _is_file(value: Any) -> bool:
    return callable(getattr(value, "read", None))


def _read(file: Any) -> bytes:
    """Return the bytes of an open file from where it stands; no more than a picture may have, and one to tell."""
    try:
        data = file.read(Limits().max_bytes + 1)
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, ValueError):
            raise ImageRejected(RejectCode.IO_ERROR, f"the open file cannot be read: {reason(error)}") from error
        # closed, or open for writing, which is both an OSError and a ValueError
        raise InputError(f"{shown(file)} cannot be read: {reason(error)}; open it with mode 'rb'") from error
    if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
        raise InputError(f"{shown(file)} gives {shown(data)} where bytes are needed; open it with mode 'rb'")
    return _bytes_of(data or b"")


def _bytes_of(data: Any) -> bytes:
    try:
        return bytes(data)
    except ValueError as error:
        raise InputError(f"{shown(data)} was released; give the bytes") from error


def _undecoded(image: Image) -> bytes | None:
    """Return the bytes of a file that Pillow has opened and not decoded, so that this is done as for any other bytes.

    None for what has pixels already, for a later frame, and for formats that only Pillow reads.
    """
    if not isinstance(image, ImageFile) or image.fp is None:
        return None
    pixels = vars(image).get("_im", vars(image).get("im"))  # by either name, as of Pillow's version
    if (pixels is not None and not image.tile) or image.tell():
        return None
    try:
        at = image.fp.tell()
        image.fp.seek(0)  # where Pillow begins, wherever the file stood
        try:
            data = image.fp.read(Limits().max_bytes + 1)
        finally:
            image.fp.seek(at)
        sniff(data)
    except (ImageRejected, OSError, ValueError, AttributeError):  # Pillow will say what is wrong
        return None
    return data


def _no_pixels(size: tuple[int, ...]) -> NoReturn:
    raise ImageRejected(RejectCode.EMPTY, f"an image of {size[0]} x {size[1]} has no pixels")


def _upright(image: Image, preprocessing: Preprocessing) -> Image:
    try:
        upright = exif_transpose(image) if preprocessing.exif else image
        return to_rgb(upright, alpha=preprocessing.alpha, icc=preprocessing.icc)
    except Exception as error:  # a file that was opened and not yet decoded raises whatever its parser meets
        message = f"a PIL image of mode {image.mode}: {type(error).__name__}: {error}"
        raise ImageRejected(RejectCode.DECODE_ERROR, message) from error


def _decoded_file(path: bytes, preprocessing: Preprocessing, limits: Limits) -> Image:
    try:
        return _decoded(read_range(path, offset=0, size=0, limit=limits.max_bytes), preprocessing, limits)
    except ImageRejected as error:
        raise ImageRejected(error.code, f"{shown(printable(path))}: {error.message}") from error


def _decoded(data: bytes, preprocessing: Preprocessing, limits: Limits) -> Image:
    return decode_apart(data, limits=limits, **preprocessing.decoding).image


def _whole(data: bytes, preprocessing: Preprocessing, limits: Limits) -> Image:
    """Return the picture in full size, so that its pixels are those of a PIL image that was decoded before."""
    how = preprocessing
    return decode_apart(data, limits=limits, exif=how.exif, alpha=how.alpha, icc=how.icc).image


def _as_array(image: Any) -> NDArray[np.uint8]:
    """Return (h, w), (h, w, 3) or (h, w, 4) uint8 from any array or tensor that is an image."""
    if not isinstance(image, np.ndarray):
        image = _of_tensor(image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise InputError(f"an array of {image.dtype} {shown(str(image.shape))} is no image: give {_ARRAYS}")
    image = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    return np.ascontiguousarray(_as_levels(np.asarray(image)))


def _of_tensor(tensor: Any) -> NDArray[Any]:
    try:
        tensor = tensor.detach().cpu()
        array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # no bfloat16 in numpy
    except Exception as error:  # sparse, quantised or meta
        raise InputError(f"this tensor is no image: {error}; give {_TENSORS}, dense") from error
    if array.ndim != 3 or array.shape[0] not in (1, 3):
        raise InputError(f"a tensor of shape {shown(str(array.shape))} is no image: give {_TENSORS}")
    return array.transpose(1, 2, 0)  # (h, w, c)


def _as_levels(image: NDArray[Any]) -> NDArray[np.uint8]:
    kind, size = image.dtype.kind, image.dtype.itemsize
    if (kind, size) == ("u", 1):
        return image
    if (kind, size) == ("u", 2):
        return (image / 257).round().astype(np.uint8)
    if kind == "b":
        return image.astype(np.uint8) * np.uint8(255)
    if kind != "f":
        raise InputError(f"an array of {shown(str(image.dtype))} {image.shape} is no image: give {_ARRAYS}")
    if not (np.isfinite(image).all() and image.min(initial=0) >= 0 and image.max(initial=1) <= 1):
        raise InputError(f"a float image holds values in [{image.min():g}, {image.max():g}]: give [0, 1], or uint8")
    return (image.astype(np.float32) * 255).round().astype(np.uint8)
