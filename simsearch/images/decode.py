"""Bytes to an upright RGB picture, or a reject with a code; nothing that a file holds escapes as another exception."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypedDict, TypeVar

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images.formats.colour import Alpha, to_rgb
from simsearch.images.formats.colour_profile import Icc
from simsearch.images.formats.jpeg_end import closed
from simsearch.images.formats.jpeg_header import ORIENTATION
from simsearch.images.formats.pillow_limits import pillow_guard
from simsearch.images.formats.side_data import stripped
from simsearch.images.formats.sniff import load_plugin, sniff, webp_size
from simsearch.images.formats.tiff import COLOURS, SIGNED, form_of, has_more_pages, refused, require_right
from simsearch.images.source import MEBIBYTES, Limits, require_size

T = TypeVar("T")

__all__ = ["AS_SEEN", "Decoded", "Limits", "decode", "to_rgb"]

# How many times the side that is needed a reduced JPEG keeps. Against a full decode and the same resize, to 96 or 224,
# the pixels of photographs of 2 and 12 megapixels move by 0.2 to 0.8 levels on average and 13 at most; at a margin of 1
# by up to 5 on average and 64 at most; 4 brings them no closer. What is left of the time is entropy decoding, which no
# scale avoids: 12 megapixels to 96 take a quarter to a third of a full decode.
DRAFT_MARGIN = 2
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
# Bytes a pixel that libraries other than Pillow take, as measured; what they say where there is no more is no help.
_COSTS = {"WEBP": 17, "AVIF": 10, "HEIF": 10}
_RAISE = "raise it by --max-pixels, in Python by Limits(max_pixels=...)"
_WHITE = 65535  # of signed greys


class Seen(TypedDict):
    """Of the arguments of `decode` those of colour."""

    alpha: Alpha
    icc: Icc


class Decoding(Seen):
    """What `decode` is told of a preprocessing, by the names of its arguments."""

    at_least: int
    exif: bool


AS_SEEN: Seen = {"alpha": "contrast", "icc": "srgb"}  # as a viewer shows a picture: what new models are trained on


@dataclass(frozen=True, slots=True)
class Decoded:
    """One decoded picture.

    Attributes:
        image: Mode RGB, upright; smaller than the file's picture where a reduced scale was enough.
        width: Full width after orientation.
        height: Full height after orientation.
        format: A key of `formats.PLUGINS`.
        more: Whether the file holds further pages or frames, which are left out.
        plain: Whether it has neither a profile nor transparency, so that `alpha` and `icc` change nothing.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    more: bool = False
    plain: bool = False

    def serves(self, asked: Decoding, other: Decoding) -> bool:
        """Return whether other arguments would give the same picture as those that it was decoded with."""
        alike = self.plain or (asked["alpha"], asked["icc"]) == (other["alpha"], other["icc"])
        one, two = (_reduction((self.width, self.height), how["at_least"]) for how in (asked, other))
        return alike and asked["exif"] == other["exif"] and (self.format != "JPEG" or one == two)


def decode(
    data: bytes,
    *,
    limits: Limits | None = None,
    at_least: int | None = None,
    exif: bool = True,
    alpha: Alpha = "white",
    icc: Icc = "ignore",
) -> Decoded:
    """Return the picture in `data`: the first frame, turned upright by its EXIF orientation, on a page, in RGB.

    Damage beside the picture (text, notes, profiles, a missing end mark) does not condemn it.

    Args:
        data: The bytes of a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or (with pillow-heif) HEIC file, told by content.
        limits: Bounds on pixels (read from the header), bytes and memory; the timeout is the workers' affair.
        at_least: The shorter side, in pixels, that is needed; a JPEG far larger is decoded at a reduced scale.
        exif: False leaves the picture as it is stored (Pillow turns a TIFF all the same).
        alpha: The page under transparent pixels, as in `to_rgb`.
        icc: Whether colours are converted by the embedded profile, as in `to_rgb`.

    Raises:
        ImageRejected: Empty, too_many_bytes, unknown_format, format_not_allowed, too_many_pixels, truncated or
            decode_error.
    """
    limits = limits or Limits()
    require_size(len(data), limits.max_bytes)
    kind = sniff(data)
    load_plugin(kind)
    how = _How(limits, at_least, exif, alpha, icc)
    with pillow_guard(limits.max_pixels):
        try:
            return _decode(data, kind, how)
        except ImageRejected:
            raise
        except Exception as error:  # Pillow raises whatever its parsers meet: SyntaxError, struct.error, KeyError, ...
            rejected = _rejected(error, data, kind, limits)
            if rejected.code is not RejectCode.TOO_MANY_PIXELS:
                decoded = _mended(data, kind, how)
                if decoded is not None:
                    return decoded
            raise rejected from error


@dataclass(frozen=True, slots=True)
class _How:
    limits: Limits
    at_least: int | None
    exif: bool
    alpha: Alpha
    icc: Icc


def _decode(data: bytes, kind: str, how: _How, profile: bytes | None = None) -> Decoded:
    if kind == "TIFF":
        require_right(data)
    if kind == "WEBP":  # whose memory is taken as soon as it is opened
        _require_affordable(*webp_size(data), kind, how.limits)
    with Image.open(BytesIO(data), formats=(kind,)) as image:
        width, height = image.size
        _require_affordable(width, height, kind, how.limits)
        if how.at_least is not None and kind == "JPEG":
            _reduce(image, how.at_least)
        before = image.size
        image.load()
        turn = _turn(image) if how.exif else None
        if before == (width, height):
            width, height = image.size  # TIFF turns itself while loading
        if kind == "TIFF":
            _require_white_point(image, data)
            _widen_palette(image)
        if profile is not None:
            image.info["icc_profile"] = profile
        plain = image.mode in {"RGB", "L"} and not image.info.keys() & {"transparency", "icc_profile"}
        picture = to_rgb(image, alpha=how.alpha, icc=how.icc)
        more = _has_more(image, data, kind)
    if turn is not None:
        picture = picture.transpose(turn)
        if turn in TURNS_THAT_SWAP:
            width, height = height, width
    return Decoded(picture, width, height, kind, more, plain)


def _mended(data: bytes, kind: str, how: _How) -> Decoded | None:
    """Return the picture of an undecodable file, where only its side data is damaged."""
    bare = _attempt(stripped, data, kind)
    decoded = None if bare is None else _attempt(_decode, bare.data, kind, how, bare.profile)
    if decoded is None and kind == "JPEG":
        whole = _attempt(closed, data if bare is None else bare.data)
        decoded = None if whole is None else _attempt(_decode, whole, kind, how)
    return decoded


def _attempt(function: Callable[..., T | None], *args: Any) -> T | None:
    try:
        return function(*args)
    except Exception:  # what is told of the file is its first error
        return None


def _require_affordable(width: int, height: int, kind: str, limits: Limits) -> None:
    pixels = width * height
    if pixels > limits.max_pixels:
        raise _too_many(f"{width} x {height} pixels", limits)
    needed = pixels * _COSTS.get(kind, 0)
    if needed > limits.memory:
        what = f"{kind}: {width} x {height} pixels take {needed // MEBIBYTES:,} MiB of memory, the limit is "
        raise ImageRejected(RejectCode.TOO_MANY_PIXELS, f"{what}{limits.memory // MEBIBYTES:,} MiB; {_RAISE}")


def _too_many(what: str, limits: Limits) -> ImageRejected:
    """Return the reject of a picture that is too large."""
    return ImageRejected(RejectCode.TOO_MANY_PIXELS, f"{what}, the limit is {limits.max_pixels:,}; {_RAISE}")


def _require_white_point(image: Image.Image, data: bytes) -> None:
    """Refuse signed greys beyond 0 to 65535: nothing says which of them are black and white."""
    form = form_of(data) if image.mode == "I" else None
    if form is not None and form.format == SIGNED:
        low, high = np.asarray(image.getextrema()).tolist()
        if low < 0 or high > _WHITE:
            raise refused(form)


def _widen_palette(image: Any) -> None:
    """Take a palette of 8 bits, as older programs write it, for what it is: Pillow takes all for such of 16."""
    colours = image.tag_v2.get(COLOURS, ()) if image.mode in ("P", "PA") else ()
    if colours and max(colours) < 256:
        image.putpalette(np.reshape(colours, (3, -1)).T.astype(np.uint8).tobytes())


def _has_more(image: Any, data: bytes, kind: str) -> bool:
    if kind == "JPEG":  # what else a multi-picture JPEG holds are forms of the same
        return False
    try:
        return has_more_pages(data) if kind == "TIFF" else bool(getattr(image, "is_animated", False))
    except Exception:  # a later frame's damage
        return True


def _reduce(image: ImageFile.ImageFile, at_least: int) -> None:
    """Ask libjpeg for the smallest of 1/8, 1/4, 1/2 whose shorter side is still `DRAFT_MARGIN` times what is needed."""
    side = max(1, at_least * DRAFT_MARGIN)
    image.draft(None, (side, side))


def _reduction(size: tuple[int, int], at_least: int) -> int:
    """Return by how much `_reduce` divides the sides of a JPEG of that size: 1, 2, 4 or 8."""
    times = min(size) // max(1, at_least * DRAFT_MARGIN)
    return next((by for by in (8, 4, 2) if by <= times), 1)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged EXIF block does not condemn a picture that decodes
        return None


def _rejected(error: Exception, data: bytes, kind: str, limits: Limits) -> ImageRejected:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        found = re.search(r"\d+", str(error))
        return _too_many(f"{int(found[0]):,} pixels" if found else "too many pixels", limits)
    if isinstance(error, MemoryError):
        what = f"{kind}: it takes more than {limits.memory // MEBIBYTES:,} MiB of memory"
        return ImageRejected(RejectCode.DECODE_ERROR, f"{what}, or than there is; {_RAISE}")
    if isinstance(error, UnidentifiedImageError):
        form = form_of(data) if kind == "TIFF" and _is_form_unknown(data) else None
        return refused(form) if form else ImageRejected(_failure(error, data, kind), f"{kind}: the header is damaged")
    return ImageRejected(_failure(error, data, kind), f"{kind}: {type(error).__name__}: {error}")


def _is_form_unknown(data: bytes) -> bool:
    """Return whether a TIFF's header is sound and says something that Pillow does not know."""
    from PIL.TiffImagePlugin import TiffImageFile  # the plug-in of TIFF alone, which is loaded by now

    try:
        TiffImageFile(BytesIO(data))
    except SyntaxError as error:
        return "unknown" in str(error)  # pixel mode, data organization
    except Exception:
        return False
    return False


def _failure(error: Exception, data: bytes, kind: str) -> RejectCode:
    text = str(error).lower()
    if isinstance(error, EOFError) or any(word in text for word in _CUT_WORDS):
        return RejectCode.TRUNCATED
    if kind == "WEBP" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        return RejectCode.TRUNCATED
    return RejectCode.DECODE_ERROR
