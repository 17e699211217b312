"""What the header of a plain JPEG says, so that another decoder than Pillow may be asked for its picture."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from simsearch.images.formats.colour_profile import Icc, is_srgb
from simsearch.images.formats.pillow_limits import pillow_guard
from simsearch.images.formats.sniff import load_plugin, sniff
from simsearch.images.source import Limits

ORIENTATION = 0x0112  # EXIF tag

_END = b"\xff\xd9"
_SLACK = 64  # bytes behind the end that cameras may leave
_YCBCR = (1, 2, 3)  # numbers of the components where colours are stored as they usually are


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """A JPEG's size as it is stored, and how it is turned.

    Attributes:
        width: Pixels.
        height: Pixels.
        orientation: 1 to 8, as EXIF numbers them; 1 where it is not to be turned.
    """

    width: int
    height: int
    orientation: int


def plain_jpeg(data: bytes, limits: Limits, *, exif: bool, icc: Icc = "ignore") -> JpegHeader | None:
    """Return the header of a JPEG that any decoder shows alike: whole, in colour, stored as YCbCr; else None.

    With `icc` = "srgb" also None where its colour profile is another than sRGB's, which the decoder would not see.
    None also where the file is no JPEG, is damaged or has too many pixels: `decode` then says what is wrong with it.
    """
    try:
        if sniff(data) != "JPEG" or _END not in data[-_SLACK:]:
            return None
        load_plugin("JPEG")
        with pillow_guard(limits.max_pixels), Image.open(BytesIO(data), formats=("JPEG",)) as image:
            width, height = image.size
            if width * height > limits.max_pixels or not _is_ycbcr(image):
                return None
            if icc == "srgb" and not is_srgb(image.info.get("icc_profile")):
                return None
            orientation = image.getexif().get(ORIENTATION, 1) if exif else 1
    except Exception:  # whatever Pillow's parsers meet
        return None
    return JpegHeader(width, height, orientation if orientation in range(1, 9) else 1)


def _is_ycbcr(image: Any) -> bool:
    components = tuple(layer[0] for layer in getattr(image, "layer", ()))
    return image.mode == "RGB" and components == _YCBCR and image.info.get("adobe_transform", 1) == 1
