"""Edits that write the image as a file and read it again: WebP, and chains of several generations."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL import Image

from simsearch.errors import InputError
from simsearch.images.perturb.edits import Picture, Rng
from simsearch.images.perturb.edits.overlay import one_of
from simsearch.images.perturb.edits.pixels import jpg_compression

KINDS = ("any", "jpg", "webp")
_WEBP_SIDE = 16383  # the format's limit
_QUALITIES = (30, 90)
_RATIOS = (0.5, 1.0)
_EFFORT = 1  # of WebP's encoder, 0 to 6: at the same quality 4, its default, looks the same and takes twice as long


@dataclass(frozen=True, slots=True)
class Generation:
    """One time that an image is scaled and written.

    Attributes:
        kind: `jpg` or `webp`.
        ratio: Its side lengths as a share of those of the first image.
        quality: The encoder's, 1 to 100.
    """

    kind: str
    ratio: float
    quality: int


def webp_compression(image: Picture, rng: Rng, *, quality: int) -> Picture:  # noqa: ARG001
    """Return the image after a lossy WebP round trip at that quality."""
    if max(image.size) > _WEBP_SIDE:
        raise InputError(f"{image.width}x{image.height}: a WebP side has at most {_WEBP_SIDE} pixels; scale it down")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=_EFFORT)
    with Image.open(buffer) as reopened:
        return reopened.convert(image.mode)


def re_encoding(image: Picture, rng: Rng, *, times: int, kind: str = "any") -> Picture:
    """Return the image forwarded that many times, each time scaled and written as JPEG or WebP, in the last size."""
    out = image
    for generation in generations(rng, times, kind):
        size = [max(1, round(generation.ratio * side)) for side in image.size]
        resized = out.resize((size[0], size[1]), Image.Resampling.BICUBIC)
        write = jpg_compression if generation.kind == "jpg" else webp_compression
        out = write(resized, rng, quality=generation.quality)
    return out.copy() if out is image else out


def generations(rng: Rng, times: int, kind: str = "any") -> tuple[Generation, ...]:
    """Return that many generations, each drawn independently and evenly.

    JPEG and WebP are equally likely for `any`; the ratio lies from 0.5 to 1 and the quality from 30 to 90.
    """
    low, high = _QUALITIES
    return tuple(
        Generation(one_of(rng, KINDS[1:], kind), float(rng.uniform(*_RATIOS)), int(rng.integers(low, high + 1)))
        for _ in range(times)
    )
