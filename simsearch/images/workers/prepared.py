"""One input to the pixels that networks take: read, hash, decode, resize, grade."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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
    """One input, ready for one or several networks.

    Attributes:
        source: The input.
        squares: Pixels for each preprocessing, uint8 (size, size, 3).
        sha256: Of the bytes, 32 bytes.
        n_bytes: How many there were.
        width: Of the whole picture, upright.
        height: Likewise.
        quality: 0 (blank) to 100, of the first square.
        more: Whether the file holds further pages or frames, which are left out.
    """

    source: Source
    squares: tuple[NDArray[np.uint8], ...]
    sha256: bytes
    n_bytes: int
    width: int
    height: int
    quality: int
    more: bool = False

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The pixels for the first preprocessing, uint8 (size, size, 3)."""
        return self.squares[0]


def prepare_one(
    source: Source, preprocessings: Sequence[Preprocessing], limits: Limits, *, decoder: Decoder = decode
) -> Prepared | Rejected:
    """Return the pixels of one input, or why there are none; no other exception leaves."""
    given, source = source, source.without_data()
    try:
        if isinstance(given.given, tuple):
            return _prepared_pixels(source, given.given, preprocessings)
        data = load_bytes(given, limits.max_bytes)
        squares, (width, height, more) = _decoded_squares(data, preprocessings, limits, decoder)
    except ImageRejected as error:
        return Rejected(source, error.code, error.message)
    except Exception as error:  # above all MemoryError, which any step may raise
        return Rejected(source, RejectCode.DECODE_ERROR, f"{type(error).__name__}: {error}")
    digest = hashlib.sha256(data).digest()
    return Prepared(source, squares, digest, len(data), width, height, quality(squares[0]), more=more)


def _decoded_squares(
    data: bytes, preprocessings: Sequence[Preprocessing], limits: Limits, decoder: Decoder
) -> tuple[tuple[NDArray[np.uint8], ...], tuple[int, int, bool]]:
    """Return the pixels for each preprocessing, with width, height and `more` of the file.

    A file is decoded once for all that would have the same picture; one whole picture at a time is in memory.
    """
    squares: dict[int, NDArray[np.uint8]] = {}
    facts: list[tuple[int, int, bool]] = []
    for i, first in enumerate(preprocessings):
        if i not in squares:
            decoded = decoder(data, limits=limits, **first.decoding)
            facts.append((decoded.width, decoded.height, decoded.more))
            alike = (
                j for j, other in enumerate(preprocessings) if j == i or decoded.serves(first.decoding, other.decoding)
            )
            squares |= {j: preprocessings[j].apply(decoded.image) for j in alike}
            del decoded
    return tuple(squares[i] for i in range(len(preprocessings))), facts[0]


def _prepared_pixels(source: Source, pictures: Sequence[Image], preprocessings: Sequence[Preprocessing]) -> Prepared:
    squares = tuple(how.apply(picture) for how, picture in zip(preprocessings, pictures, strict=True))
    width, height = pictures[0].size
    return Prepared(source, squares, pixels_digest(pictures), 3 * width * height, width, height, quality(squares[0]))


def pixels_digest(pictures: Sequence[Image]) -> bytes:
    """Return what stands for the content of a picture that was given as pixels, by what each preprocessing sees of it.

    SHA-256 of mode, size and pixels; where they do not all see the same, of all those.
    """
    distinct = {id(picture): picture for picture in pictures}  # one picture is often given for several
    digests = dict.fromkeys(map(_digest, distinct.values()))
    return next(iter(digests)) if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()


def _digest(picture: Image) -> bytes:
    digest = hashlib.sha256(f"{picture.mode} {picture.width} {picture.height}\0".encode())
    digest.update(picture.tobytes())
    return digest.digest()
