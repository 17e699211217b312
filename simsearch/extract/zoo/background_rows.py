"""A model's rows of photographs that nobody looks for, kept in its folder: what chance matches are judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from simsearch.errors import InputError, ModelError
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.extract.pipeline import embed_sources
from simsearch.extract.zoo.card import Background, ModelCard
from simsearch.images.find import find
from simsearch.images.source import Rejected, printable

BACKGROUND = "background.safetensors"
_ROWS = "rows"


def write_background(
    extractor: Extractor, paths: Iterable[str | PathLike[str]], folder: Path, *, source: str
) -> Background:
    """Embed photographs, write their rows (n, d) as float16 into a model folder, and return what the card says of them.

    Args:
        extractor: The model.
        paths: Folders, images or tars.
        folder: Of the model.
        source: Where the photographs are from.

    Raises:
        InputError: There are no photographs, one cannot be read, or a row is beyond float16.
    """
    require_one_row(extractor)
    rows = []
    for found in embed_sources(extractor, find(paths)):
        if isinstance(found, Rejected):
            raise InputError(f"{printable(found.source.path)}: {found.code}: {found.message}; remove it")
        assert found.row is not None  # only `known` leaves rows out
        rows.append(found.row)
    if not rows:
        raise InputError("found no photographs for the background; name folders, images or tars that hold some")
    half = np.stack(rows).astype(np.float16)
    if not np.isfinite(half).all():
        raise InputError("the background holds rows that float16 cannot")
    data = save({_ROWS: half})
    (folder / BACKGROUND).write_bytes(data)
    return Background(file=BACKGROUND, sha256=hashlib.sha256(data).hexdigest(), images=len(rows), source=source)


def background_rows(card: ModelCard, folder: Path) -> NDArray[Any]:
    """Return a model's rows of strangers, float16 (n, d).

    Raises:
        ModelError: The card has none, or the file is missing, damaged or not the card's.
    """
    record = card.background
    if record is None:
        raise ModelError(f"{card.name} comes without background rows; calibrate the library on its own images instead")
    path = folder / record.file
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != record.sha256:
            raise ModelError(f"{path} is not the file that the card names by its SHA-256; restore it")
        rows: NDArray[Any] = load(data)[_ROWS]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path} is missing or damaged: {error}; restore the file") from error
    if rows.shape != (record.images, card.dimension):
        raise ModelError(f"{path} holds rows of shape {rows.shape}, the card says {(record.images, card.dimension)}")
    return rows
