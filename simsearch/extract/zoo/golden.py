"""Golden rows: what a model gave for a few synthetic images, to admit or refuse a runtime."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch import distance
from simsearch.errors import ModelError
from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo.card import ModelCard
from simsearch.images.decode import DRAFT_MARGIN, decode
from simsearch.images.preprocess import Preprocessing

Pixels = NDArray[np.uint8]

GOLDEN = "golden.npz"
SHAPES = ((96, 144), (120, 90), (128, 96), (80, 130))
REDUCED = 2  # the place of a JPEG that is so large that it is decoded at a reduced scale


def golden_files(at_least: int) -> list[bytes]:
    """Return encoded synthetic images, alternately JPEG and PNG, of several shapes: the same pixels always.

    Args:
        at_least: The shorter side that a model's preprocessing wants decoded; one JPEG is four times as large.
    """
    height = 2 * DRAFT_MARGIN * at_least
    shapes = list(2 * SHAPES)
    shapes[REDUCED] = (height * 4 // 3, height)
    return [_encode(_picture(i, shape), "JPEG" if i % 2 == 0 else "PNG") for i, shape in enumerate(shapes)]


def write_golden(extractor: Extractor, folder: Path) -> None:
    """Write the golden file of a model folder: the encoded images and their rows."""
    files = golden_files(extractor.preprocessing.at_least)
    joined = np.frombuffer(b"".join(files), np.uint8)
    sizes = np.array([len(data) for data in files], np.int64)
    np.savez_compressed(folder / GOLDEN, files=joined, sizes=sizes, rows=_rows(extractor, files))


def has_golden(card: ModelCard, folder: Path) -> bool:
    """Return whether a model is held to golden rows: an unverified one may have none, any other has or is damaged."""
    return card.status != "unverified" or (folder / GOLDEN).exists()


def check_golden(
    extractor: Extractor,
    folder: Path,
    *,
    decoded: Callable[[list[bytes]], list[NDArray[np.uint8] | None]] | None = None,
) -> float:
    """Return the worst distance, in the extractor's metric, between the golden rows and those of this runtime.

    Args:
        extractor: Whose runtime it is.
        folder: Holds the golden file.
        decoded: Gives the pixels of encoded images, None for those that Pillow decodes; by default that does all.

    Raises:
        ModelError: The model folder has no golden file, or it is damaged.
    """
    files, golden = _read(folder / GOLDEN)
    found = _rows(extractor, files) if decoded is None else _rows_of(extractor, files, decoded(files))
    if found.shape != golden.shape:
        raise ModelError(f"{folder / GOLDEN} holds rows of shape {golden.shape}, the model gives {found.shape}")
    metric = distance.by_name(extractor.metric)
    return float(np.max(np.diagonal(metric(found, golden))))


def _read(path: Path) -> tuple[list[bytes], NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            joined, sizes, rows = archive["files"].tobytes(), archive["sizes"], archive["rows"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is missing or damaged: {error}; restore the file") from error
    ends = np.cumsum(sizes)
    return [joined[end - size : end] for end, size in zip(ends, sizes, strict=True)], rows


def _rows(extractor: Extractor, files: list[bytes]) -> NDArray[Any]:
    return extractor.rows([_picture_in(data, extractor.preprocessing) for data in files])


def _rows_of(extractor: Extractor, files: list[bytes], squares: list[Pixels | None]) -> NDArray[Any]:
    """Return the rows of the stored pixels, and of the other files decoded by Pillow."""
    how = extractor.preprocessing
    pixels = [
        how.apply(_picture_in(data, how)) if square is None else square
        for data, square in zip(files, squares, strict=True)
    ]
    return extractor.embed_pixels(np.stack(pixels))


def _picture_in(data: bytes, how: Preprocessing) -> Image.Image:
    return decode(data, **how.decoding).image


def _picture(seed: int, shape: tuple[int, int]) -> Image.Image:
    """Return a picture with smooth shading, edges and texture: waves, rectangles and a little noise."""
    width, height = shape
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(rng.uniform(2, 30) * x + rng.uniform(2, 30) * y + rng.uniform(0, 6)) for _ in range(3)]
    pixels = 127 + 60 * np.stack(waves, axis=2)
    for _ in range(6):
        top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
        colour = rng.integers(0, 256, 3)
        bottom, right = top + rng.integers(10, height // 2), left + rng.integers(10, width // 2)
        pixels[top:bottom, left:right] = colour
    pixels += rng.normal(0, 3, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return buffer.getvalue()
