"""Bytes to an upright RGB picture, or a reject with a code; nothing that a file holds escapes as another exception."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageFile, UnidentifiedImageError

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images.colour import to_rgb
from simsearch.images.formats import load_plugin, sniff
from simsearch.images.guard import pillow_guard
from simsearch.images.limits import Limits

__all__ = ["Decoded", "Limits", "decode", "to_rgb"]

# How many times the side that is needed a reduced JPEG keeps. Against a full decode and the same resize, to 96 or 224,
# the pixels of photographs of 2 and 12 megapixels move by 0.2 to 0.8 levels on average and 13 at most; at a margin of 1
# by up to 5 on average and 64 at most; 4 brings them no closer. What is left of the time is entropy decoding, which no
# scale avoids: 12 megapixels to 96 take a quarter to a third of a full decode.
DRAFT_MARGIN = 2
ORIENTATION = 0x0112  # EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNS_THAT_SWAP = frozenset(TURNS[i] for i in (5, 6, 7, 8))
_CUT_WORDS = ("truncated", "unexpected end", "not enough data", "end of file", "eof")


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded picture.

    Attributes:
        image: mode RGB, upright; smaller than the file's picture where a reduced scale was enough.
        width: full width after orientation.
        height: full height after orientation.
        format: a key of `formats.PLUGINS`.
    """

    image: Image.Image
    width: int
    height: int
    format: str


def decode(data: bytes, *, limits: Limits | None = None, at_least: int | None = None, exif: bool = True) -> Decoded:
    """Return the picture in `data`: the first frame, turned upright by its EXIF orientation, on white, in RGB.

    Args:
        data: the bytes of a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or (with pillow-heif) HEIC file, told by content.
        limits: bounds on pixels (read from the header) and bytes; the timeout is the workers' affair.
        at_least: the shorter side, in pixels, that is needed; a JPEG far larger is decoded at a reduced scale.
        exif: False leaves the picture as it is stored (Pillow turns a TIFF all the same).

    Raises:
        ImageRejected: empty, too_many_bytes, unknown_format, format_not_allowed, too_many_pixels, truncated or
            decode_error.
    """
    limits = limits or Limits()
    if not data:
        raise ImageRejected(RejectCode.EMPTY, "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise ImageRejected(RejectCode.TOO_MANY_BYTES, f"{len(data):,} bytes, the limit is {limits.max_bytes:,}")
    kind = sniff(data)
    load_plugin(kind)
    try:
        with pillow_guard(limits.max_pixels):
            return _decode(data, kind, limits, at_least=at_least, exif=exif)
    except ImageRejected:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected(RejectCode.TOO_MANY_PIXELS, str(error)) from error
    except UnidentifiedImageError as error:
        raise ImageRejected(_failure(error, data, kind), f"{kind}: the header is damaged") from error
    except Exception as error:  # Pillow raises whatever its parsers meet: SyntaxError, struct.error, KeyError, ...
        raise ImageRejected(_failure(error, data, kind), f"{kind}: {type(error).__name__}: {error}") from error


def _decode(data: bytes, kind: str, limits: Limits, *, at_least: int | None, exif: bool) -> Decoded:
    with Image.open(BytesIO(data), formats=(kind,)) as image:
        width, height = image.size
        if width * height > limits.max_pixels:
            message = f"{width} x {height} pixels, the limit is {limits.max_pixels:,}"
            raise ImageRejected(RejectCode.TOO_MANY_PIXELS, message)
        if at_least is not None and kind == "JPEG":
            _reduce(image, at_least)
        before = image.size
        image.load()
        turn = _turn(image) if exif else None
        if before == (width, height):
            width, height = image.size  # TIFF turns itself while loading
        picture = to_rgb(image)
    if turn is not None:
        picture = picture.transpose(turn)
        if turn in TURNS_THAT_SWAP:
            width, height = height, width
    return Decoded(picture, width, height, kind)


def _reduce(image: ImageFile.ImageFile, at_least: int) -> None:
    """Ask libjpeg for the smallest of 1/8, 1/4, 1/2 whose shorter side is still `DRAFT_MARGIN` times what is needed."""
    side = max(1, at_least * DRAFT_MARGIN)
    image.draft(None, (side, side))


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged EXIF block does not condemn a picture that decodes
        return None


def _failure(error: Exception, data: bytes, kind: str) -> RejectCode:
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in _CUT_WORDS):
        return RejectCode.TRUNCATED
    if kind == "WEBP" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        return RejectCode.TRUNCATED
    return RejectCode.DECODE_ERROR
