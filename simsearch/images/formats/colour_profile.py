"""Embedded colour profiles (ICC): colours as they were meant, in sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms

Icc = Literal["ignore", "srgb"]

MAX_BYTES = 4 << 20  # of a profile; those of presses have 2 MB
# How far, in levels, a profile may move colours and still be taken for sRGB: as far as those of different makers do.
CLOSE = 2
_FEW = 16  # transforms that are kept: a collection comes from few cameras
_STEPS = 9  # levels a channel at which a profile is compared with sRGB
_RGB, _GREY, _CMYK = "RGB ", "GRAY", "CMYK"  # colour spaces as profiles name them
_MODES = {_RGB: "RGB", _GREY: "L", _CMYK: "CMYK"}
_SPACES = {"RGB": _RGB, "RGBA": _RGB, "CMYK": _CMYK}  # by Pillow's modes


def is_srgb(profile: Any) -> bool:
    """Return whether an RGB picture with this profile needs no conversion: it is unusable, or sRGB's."""
    return _usable(profile) is None or _transform(profile, _RGB) is None


def in_srgb(image: Image.Image, profile: Any, *, grey: bool = False) -> Image.Image:
    """Return a picture with its colours in sRGB; itself where the profile does not fit it, is broken or is sRGB's own.

    The rendering intent is perceptual, which for profiles without tables is relative colorimetric.

    Args:
        image: Mode RGB, RGBA, L or CMYK; others are returned as they are.
        profile: What the file embeds.
        grey: An RGB or RGBA picture's channels are equal, because it was stored as greys, as its profile is for.
    """
    space = _GREY if grey or image.mode == "L" else _SPACES.get(image.mode)
    transform = None if space is None or _usable(profile) is None else _transform(profile, space)
    if transform is None:
        return image
    clear = image.getchannel("A") if image.mode == "RGBA" else None
    if space == _GREY:
        image = image if image.mode == "L" else image.getchannel("R")
    elif clear is not None:
        image = image.convert("RGB")
    seen = transform.apply(image)
    if clear is not None:
        seen.putalpha(clear)
    return seen


def _usable(profile: Any) -> bytes | None:
    return profile if isinstance(profile, bytes) and 128 < len(profile) <= MAX_BYTES else None


@lru_cache(_FEW)
def _transform(profile: bytes, space: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB; None where it changes nothing, or the profile is for other pixels or broken."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if opened.profile.xcolor_space != space:
            return None
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), _MODES[space], "RGB")
        return None if _changes_nothing(transform, space) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, space: str) -> bool:
    if space == _CMYK:
        return False
    steps = np.rint(np.linspace(0, 255, 256 if space == _GREY else _STEPS)).astype(np.uint8)
    if space == _GREY:
        probe = np.repeat(steps[None, :, None], 3, 2)
        image = Image.fromarray(np.ascontiguousarray(probe[..., 0]))
    else:
        probe = np.stack(np.meshgrid(steps, steps, steps), 3).reshape(_STEPS, -1, 3)
        image = Image.fromarray(probe)
    seen = np.asarray(transform.apply(image))
    return bool(np.abs(seen.astype(np.int16) - probe).max() <= CLOSE)
