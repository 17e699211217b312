"""Small pictures made on the spot, and their files."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.images import Preprocessing

SQUASH = Preprocessing(size=24, fit="squash", resize=24, kernel="bilinear", mean=(0, 0, 0), std=(1, 1, 1))


def scene(width: int = 60, height: int = 40, *, seed: int = 0) -> Image.Image:
    """A smooth, asymmetric RGB picture, so that any turn or colour mistake shows, and any codec keeps it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, raw: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """A PNG written by hand, for depths that Pillow does not write; `raw` without filter bytes."""
    line = len(raw) // height
    lines = b"".join(b"\0" + raw[i : i + line] for i in range(0, len(raw), max(1, line)))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def array(image: Image.Image) -> NDArray[np.int16]:
    return np.asarray(image).astype(np.int16)


def apart(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference, in levels."""
    return float(np.abs(array(one) - array(other)).mean())
