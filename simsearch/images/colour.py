"""Any Pillow mode to RGB: alpha on white, deep greys scaled, print and Lab colours converted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = (255, 255, 255)
BITS_PER_SAMPLE = 258  # TIFF tag
PHOTOMETRIC = 262  # TIFF tag; 0 is WhiteIsZero


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture as a person would see it on a white page, in mode RGB.

    Transparent pixels show white, never their hidden colour. Greys of more than 8 bits are scaled, not clipped; CMYK
    and Lab are converted without an embedded profile.

    Raises:
        ValueError: Pillow cannot convert the mode.

    Example:
        >>> to_rgb(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _deep_grey(image)
    if _has_alpha(image):
        return _on_white(image)
    return image.convert("RGB")


def _has_alpha(image: Image.Image) -> bool:
    # Not `has_transparency_data`, which fails on a PNG that has lost its palette.
    clear_palette = image.palette is not None and image.palette.mode.endswith("A")
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info or clear_palette


def _on_white(image: Image.Image) -> Image.Image:
    key = image.info.get("transparency")
    if image.mode in ("RGB", "L", "1") and key is not None:
        # The key of a 16-bit PNG has 16-bit values, but Pillow keeps each sample's high byte.
        image = image.copy()
        image.info["transparency"] = tuple(map(_high_byte, key)) if isinstance(key, tuple) else _high_byte(key)
    if image.mode == "La":
        image = image.convert("LA")
    clear = image if image.mode == "RGBA" else image.convert("RGBA")
    page = Image.new("RGB", clear.size, WHITE)
    page.paste(clear, mask=clear.getchannel("A"))
    return page


def _high_byte(value: Any) -> Any:
    return value >> 8 if isinstance(value, int) and value > 255 else value


def _deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    levels = _from_uint16(values, _top(image)) if values.dtype.kind == "u" else _from_wide(values)
    if _tags(image).get(PHOTOMETRIC) == 0:
        levels = 255 - levels
    key = image.info.get("transparency")
    if isinstance(key, int):
        levels = np.where(values == key, np.uint8(255), levels)
    return Image.fromarray(np.ascontiguousarray(levels)).convert("RGB")


def _tags(image: Image.Image) -> dict[int, Any]:
    return dict(getattr(image, "tag_v2", None) or {})


def _top(image: Image.Image) -> int:
    bits = _tags(image).get(BITS_PER_SAMPLE, 16)
    bits = bits[0] if isinstance(bits, tuple) else bits
    return (1 << bits) - 1 if 8 < bits <= 16 else 65535


def _from_uint16(values: NDArray[Any], top: int) -> NDArray[np.uint8]:
    table = np.minimum((np.arange(65536) * 255 + top // 2) // top, 255).astype(np.uint8)
    levels: NDArray[np.uint8] = table[values.astype(np.uint16, copy=False)]
    return levels


def _from_wide(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale 32-bit integers or floats, whose white point no file states: the least usual one that holds them all."""
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    tops = (255.0, 65535.0) if values.dtype.kind == "i" else (1.0, 255.0, 65535.0)
    usual = [top for top in tops if low >= 0 and high <= top]
    low, top = (0.0, usual[0]) if usual else (low, max(high - low, float(np.finfo(np.float32).tiny)))
    levels: NDArray[np.uint8] = np.clip(np.rint((finite - low) * (255.0 / top)), 0, 255).astype(np.uint8)
    return levels
