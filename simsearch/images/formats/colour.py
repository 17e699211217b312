"""Any Pillow mode to RGB: transparency laid on a page, deep greys scaled, print, Lab and profiled colours converted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.images.formats.colour_profile import Icc, in_srgb
from simsearch.images.formats.tiff import BITS, FORMAT, PHOTOMETRIC, UNSIGNED, WHITE_IS_ZERO

Alpha = Literal["white", "contrast"]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# On a white page a picture must differ from it by this share of the full range, on average over its channels and over
# what is not transparent; one that does not is laid on black. Drawings in white or ivory have at most 0.03, in pastel
# colours or light greys 0.12 and more; noise of coding moves a picture by less than 0.005.
FAINT = 0.1
# Where everything is transparent, hidden colours are a picture whose alpha was lost, unless no channel spans more
# levels than this, as what coding leaves of a cleared canvas.
HIDDEN_SPAN = 16
_FULL = 2**28  # 32-bit unsigned greys that reach beyond use the whole of their range
_GREYS = ("1", "L", "LA", "La", "I", "F")


def to_rgb(image: Image.Image, *, alpha: Alpha = "white", icc: Icc = "ignore") -> Image.Image:
    """Return the picture as a person would see it on a page, in mode RGB.

    Transparent pixels show the page, never their hidden colour. Greys of more than 8 bits are scaled, not clipped;
    CMYK without a profile and Lab are converted by fixed formulas.

    Args:
        image: Of any mode; it is left as it is.
        alpha: `white` is a white page; `contrast` a white one unless what is to be seen is itself nearly white
            (`FAINT`), then a black one; and where every pixel is transparent, the hidden colours if there is a picture
            in them (`HIDDEN_SPAN`).
        icc: `srgb` converts colours by the embedded profile, where there is one that fits; `ignore` does not.

    Raises:
        ValueError: Pillow cannot convert the mode.

    Example:
        >>> to_rgb(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    profile = image.info.get("icc_profile") if icc == "srgb" else None
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return in_srgb(image, profile)
    grey = mode in _GREYS or mode.startswith("I;16")
    if mode in ("I", "F") or mode.startswith("I;16"):
        image = _deep_grey(image)
    elif _has_alpha(image):
        image = _with_channel(image)
    elif profile is not None and mode not in ("L", "CMYK"):
        image = image.convert("L" if grey else "RGB")
    seen = in_srgb(image, profile, grey=grey)
    if seen.mode != "RGBA":
        return seen if seen.mode == "RGB" else seen.convert("RGB")
    return _on_page(seen, WHITE) if alpha == "white" else _on_contrast(seen)


def _has_alpha(image: Image.Image) -> bool:
    # Not `has_transparency_data`, which fails on a PNG that has lost its palette.
    clear_palette = image.palette is not None and image.palette.mode.endswith("A")
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info or clear_palette


def _with_channel(image: Image.Image) -> Image.Image:
    """Return the picture in mode RGBA."""
    key = image.info.get("transparency")
    if image.mode in ("RGB", "L", "1") and key is not None:
        # The key of a 16-bit PNG has 16-bit values, but Pillow keeps each sample's high byte.
        image = image.copy()
        image.info["transparency"] = tuple(map(_high_byte, key)) if isinstance(key, tuple) else _high_byte(key)
    if image.mode == "La":
        image = image.convert("LA")
    return image if image.mode == "RGBA" else image.convert("RGBA")


def _on_page(clear: Image.Image, page: tuple[int, int, int]) -> Image.Image:
    seen = Image.new("RGB", clear.size, page)
    seen.paste(clear, mask=clear.getchannel("A"))
    return seen


def _on_contrast(clear: Image.Image) -> Image.Image:
    opaque = _total(clear.getchannel("A"))  # the sum of alpha, 255 a pixel
    if opaque == 0:
        hidden = clear.convert("RGB")
        span = np.ptp(np.asarray(hidden.getextrema()), axis=1).max()
        return hidden if span > HIDDEN_SPAN else Image.new("RGB", clear.size, WHITE)
    seen = _on_page(clear, WHITE)
    ink = 3 * 255 * clear.width * clear.height - _total(seen)  # how far the page has become darker, over all channels
    if opaque == 255 * clear.width * clear.height or ink >= FAINT * 3 * opaque:
        return seen
    del seen  # large pictures are many
    return _on_page(clear, BLACK)


def _total(image: Image.Image) -> int:
    """Return the sum of all levels of all channels."""
    return sum(i % 256 * count for i, count in enumerate(image.histogram()))


def _high_byte(value: Any) -> Any:
    return value >> 8 if isinstance(value, int) and value > 255 else value


def _deep_grey(image: Image.Image) -> Image.Image:
    """Return greys of more than 8 bits in mode L, or RGBA where one of them is transparent."""
    values = np.asarray(image)
    if image.mode == "I" and _tags(image) and _first(image, FORMAT, UNSIGNED) == UNSIGNED:
        values = values.view(np.uint32)  # as the file has it; Pillow's mode is signed
    deep = values.dtype.kind == "u" and values.dtype.itemsize == 2
    levels = _from_uint16(values, _top(image)) if deep else _from_wide(values)
    if _tags(image).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        levels = 255 - levels
    grey = Image.fromarray(np.ascontiguousarray(levels))
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return grey
    shown = Image.fromarray(np.where(values == key, np.uint8(0), np.uint8(255)))
    return Image.merge("RGBA", (grey, grey, grey, shown))


def _tags(image: Image.Image) -> dict[int, Any]:
    return dict(getattr(image, "tag_v2", None) or {})


def _first(image: Image.Image, tag: int, default: int) -> Any:
    value = _tags(image).get(tag, default)
    return value[0] if isinstance(value, tuple) and value else value


def _top(image: Image.Image) -> int:
    bits = _first(image, BITS, 16)
    return (1 << bits) - 1 if 8 < bits <= 16 else 65535


def _from_uint16(values: NDArray[Any], top: int) -> NDArray[np.uint8]:
    table = np.minimum((np.arange(65536) * 255 + top // 2) // top, 255).astype(np.uint8)
    levels: NDArray[np.uint8] = table[values.astype(np.uint16, copy=False)]
    return levels


def _from_wide(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 32-bit integers or floats, whose white point no file states: the least usual one that holds them all."""
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    tops = (255.0, 65535.0) if values.dtype.kind in "iu" else (1.0, 255.0, 65535.0)
    usual = [top for top in tops if low >= 0 and high <= top]
    if values.dtype.kind == "u" and high > _FULL:
        usual = [float(np.iinfo(np.uint32).max)]
    low, top = (0.0, usual[0]) if usual else (low, max(high - low, float(np.finfo(np.float32).tiny)))
    levels: NDArray[np.uint8] = np.clip(np.rint((finite - low) * (255.0 / top)), 0, 255).astype(np.uint8)
    return levels
