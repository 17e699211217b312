"""One input to the pixels that a network takes: read, hash, decode, resize, grade."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from simsearch.errors import ImageRejected, RejectCode
from simsearch.images.decode import Decoded, decode
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import quality
from simsearch.images.source import Limits, Rejected, Source, load_bytes

Decoder = Callable[..., Decoded]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One input, ready for a network.

    Attributes:
        source: The input.
        pixels: Uint8 (size, size, 3).
        sha256: Of the bytes, 32 bytes.
        n_bytes: How many there were.
        width: Of the whole picture, upright.
        height: Likewise.
        quality: 0 (blank) to 100.
        more: Whether the file holds further pages or frames, which are left out.
    """

    source: Source
    pixels: NDArray[np.uint8]
    sha256: bytes
    n_bytes: int
    width: int
    height: int
    quality: int
    more: bool = False


def prepare_one(
    source: Source, preprocessing: Preprocessing, limits: Limits, *, decoder: Decoder = decode
) -> Prepared | Rejected:
    """Return the pixels of one input, or why there are none; no other exception leaves."""
    given, source = source, source.without_data()
    try:
        if isinstance(given.given, Image):
            return _prepared_pixels(source, given.given, preprocessing)
        data = load_bytes(given, limits.max_bytes)
        decoded = decoder(data, limits=limits, **preprocessing.decoding)
        pixels = preprocessing.apply(decoded.image)
    except ImageRejected as error:
        return Rejected(source, error.code, error.message)
    except Exception as error:  # above all MemoryError, which any step may raise
        return Rejected(source, RejectCode.DECODE_ERROR, f"{type(error).__name__}: {error}")
    digest = hashlib.sha256(data).digest()
    return Prepared(
        source, pixels, digest, len(data), decoded.width, decoded.height, quality(pixels), more=decoded.more
    )


def _prepared_pixels(source: Source, picture: Image, preprocessing: Preprocessing) -> Prepared:
    pixels, size = preprocessing.apply(picture), 3 * picture.width * picture.height
    return Prepared(source, pixels, pixels_digest(picture), size, picture.width, picture.height, quality(pixels))


def pixels_digest(picture: Image) -> bytes:
    """Return what stands for the content of a picture that was given as pixels: SHA-256 of mode, size and pixels."""
    digest = hashlib.sha256(f"{picture.mode} {picture.width} {picture.height}\0".encode())
    digest.update(picture.tobytes())
    return digest.digest()
