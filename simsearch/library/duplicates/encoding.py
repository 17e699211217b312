"""How files are encoded, and which of several is a transcode of another: a larger file is not a better one.

A JPEG rounds each frequency of its blocks of 8 x 8 pixels to multiples of a step. Whoever saves it again, as PNG or as
JPEG of a higher quality, keeps that rounding in the pixels: the copy is larger and holds no more. So each of several
files of one size is looked at for the steps of the others, and counts as coarse as the coarsest that it shows.

Reference:
    Fan & de Queiroz, "Identification of bitmap compression history: JPEG detection and quantizer estimation", 2003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import ImageRejected
from simsearch.images.formats.sniff import sniff
from simsearch.images.quality import LUMA
from simsearch.images.source import Limits, read_range
from simsearch.images.workers.single import decode_apart
from simsearch.library.duplicates.report import Picture

Table = NDArray[np.int64]
_HEAD = 1 << 18  # bytes in which a JPEG's first tables stand, behind a profile and a small picture
_SIDE = 512  # pixels a side that are looked at
_LIMITS = Limits()
_SUFFICES = 200  # coefficients, below which nothing is said
_LEAST_STEP = 5  # of a frequency: smaller ones are lost in the rounding of pixels
_NEAR = 1.2  # levels from a multiple: pixels are rounded, and colours converted
_DARKEST, _LIGHTEST = 2, 253
_SHOWS = 0.8  # share of coefficients that are near a multiple; of other pictures it is about half


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """How a file is encoded.

    Attributes:
        format: As `PNG`; empty where it is not known.
        step: Mean step of its rounding; 1 where none is known, as of lossless formats.
        table: The steps of a JPEG's brightness, (8, 8); None for other formats.
        derived: Whether the step is that of another file, of which it is a transcode.
    """

    format: str
    step: float = 1.0
    table: Table | None = None
    derived: bool = False

    @classmethod
    def unknown(cls) -> Encoding:
        """Return that of a file that was not looked at."""
        return cls("")


def encodings(pictures: Sequence[Picture]) -> list[Encoding]:
    """Return how each of some files of one picture is encoded, transcodes as coarse as what they were made of.

    A file that cannot be read has an unknown encoding. Pixels are looked at only where files of one size differ in
    how they are encoded.
    """
    seen = [_encoding(picture) for picture in pictures]
    sizes: dict[tuple[int, int], list[int]] = {}
    for i, picture in enumerate(pictures):
        sizes.setdefault((picture.width, picture.height), []).append(i)
    for alike in sizes.values():
        tables = {table.tobytes(): table for i in alike if (table := seen[i].table) is not None}
        kinds = {(seen[i].format, seen[i].step) for i in alike}
        if len(kinds) < 2 or not tables:
            continue
        for i in alike:
            coarser = [table for table in tables.values() if _step(table) > seen[i].step]
            luma = _luma(pictures[i]) if coarser else None
            shown = [_step(table) for table in coarser if luma is not None and shows(luma, table)]
            if shown:
                seen[i] = replace(seen[i], step=max(shown), derived=True)
    return seen


def shows(luma: NDArray[np.float32], table: Table) -> bool:
    """Return whether pixels were rounded by a JPEG's table: their coefficients lie at multiples of its steps.

    Args:
        luma: (h, w) from the upper left corner of the picture.
        table: (8, 8) steps.
    """
    from scipy.fft import dctn

    high, wide = (side // 8 for side in luma.shape)
    if not high or not wide:
        return False
    blocks = luma[: 8 * high, : 8 * wide].reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    blocks = blocks[(blocks.min((1, 2)) > _DARKEST) & (blocks.max((1, 2)) < _LIGHTEST)]  # others were cut off
    found = dctn(blocks - 128, axes=(1, 2), norm="ortho")  # (blocks, 8, 8)
    steps = table.astype(np.float64)
    usable = steps >= _LEAST_STEP
    values, step = found[:, usable], steps[usable]
    told = np.abs(values) > step / 2
    if told.sum() < _SUFFICES:
        return False
    away = np.abs(values - np.round(values / step) * step)
    by_chance = np.broadcast_to(np.minimum(2 * _NEAR / step, 1.0), values.shape)[told].mean()
    share = (away <= _NEAR)[told].mean()
    return bool(share >= max(_SHOWS, (1 + by_chance) / 2))


def _encoding(picture: Picture) -> Encoding:
    if picture.kind in ("member", "none"):
        return Encoding.unknown()
    try:
        with open(picture.raw, "rb") as file:  # noqa: PTH123 - a name of bytes
            head = file.read(_HEAD)
        name = sniff(head)
    except (OSError, ImageRejected):
        return Encoding.unknown()
    table = jpeg_table(head) if name == "JPEG" else None
    return Encoding(name) if table is None else Encoding(name, _step(table), table)


def _step(table: Table) -> float:
    return float(table.mean())


def _luma(picture: Picture) -> NDArray[np.float32] | None:
    try:
        data = read_range(picture.raw, offset=0, size=0, limit=_LIMITS.max_bytes)
        image = decode_apart(data, limits=_LIMITS).image
    except ImageRejected:
        return None
    return np.asarray(image.crop((0, 0, min(_SIDE, image.width), min(_SIDE, image.height)))) @ LUMA


def jpeg_table(data: bytes) -> Table | None:
    """Return the steps of a JPEG's brightness, (8, 8); None where they are not found.

    Reference:
        ITU-T T.81, 1992, B.2.4.1.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return None
        if marker == 0xDB:
            body = data[at + 4 : at + 2 + size]
            while body:
                wide, number = body[0] >> 4, body[0] & 15
                length = 128 if wide else 64
                if number == 0 and len(body) > length:
                    values = np.frombuffer(body[1 : 1 + length], ">u2" if wide else np.uint8).astype(np.int64)
                    table = np.empty(64, np.int64)
                    table[_zigzag()] = values
                    return np.maximum(table.reshape(8, 8), 1)
                body = body[1 + length :]
        at += 2 + max(size, 2)
    return None


def _zigzag() -> NDArray[np.int64]:
    """Return the place of each of the 64 values in the order in which a file holds them."""
    places = [(i, j) for i in range(8) for j in range(8)]
    order = sorted(places, key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]))
    return np.array([8 * i + j for i, j in order])
