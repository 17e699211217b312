"""Photographs held in memory as squashed squares, ready for augmentation on the device."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from simsearch.errors import ImageRejected, InputError
from simsearch.extract.pipeline import default_workers
from simsearch.images.decode import decode
from simsearch.images.find import find
from simsearch.images.limits import Limits
from simsearch.images.preprocess import Preprocessing
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source, load_bytes

FINE = 192
"""Side of the large squares: the longest side of the training photographs."""


@dataclass(frozen=True, slots=True)
class Photographs:
    """Every photograph in two sizes, clean and after JPEG compression.

    Attributes:
        fine: (2, n, 3, 192, 192) uint8: clean, then JPEG of a random quality; crops are sampled from these.
        coarse: (2, n, 3, s, s) uint8, the same as the model's own preprocessing makes them.
        aspect: (n,) float32, width over height before the squash.
    """

    fine: Tensor
    coarse: Tensor
    aspect: Tensor

    def __len__(self) -> int:
        return len(self.aspect)

    def to(self, device: torch.device) -> Photographs:
        """Return the same photographs on a device."""
        return Photographs(self.fine.to(device), self.coarse.to(device), self.aspect.to(device))


def load_photographs(
    paths: Iterable[str | PathLike[str]], preprocessing: Preprocessing, *, jpeg: tuple[int, int], seed: int
) -> Photographs:
    """Return all images found in folders, files and tars, decoded once.

    Args:
        paths: Folders, images or WebDataset tars.
        preprocessing: The model's own, for the coarse squares.
        jpeg: Lowest and highest quality of the compressed forms.
        seed: Seed of the qualities.

    Raises:
        InputError: an input is no image, or there are none.
    """
    sources = []
    for source in find(paths):
        if isinstance(source, Rejected):
            raise _unusable(source.source, f"{source.code}: {source.message}")
        sources.append(source)
    if not sources:
        raise InputError("found no photographs to train on")
    n, side = len(sources), preprocessing.size
    fine = torch.empty((2, n, 3, FINE, FINE), dtype=torch.uint8)
    coarse = torch.empty((2, n, 3, side, side), dtype=torch.uint8)
    aspect = torch.empty(n)
    qualities = np.random.default_rng(seed).integers(jpeg[0], jpeg[1] + 1, n)

    def load(i: int) -> None:
        image = _decoded(sources[i])
        for form, shown in enumerate((image, _compressed(image, int(qualities[i])))):
            fine[form, i] = _channels_first(np.asarray(shown.resize((FINE, FINE), Image.Resampling.BILINEAR)))
            coarse[form, i] = _channels_first(preprocessing.apply(shown))
        aspect[i] = image.width / image.height

    with ThreadPoolExecutor(default_workers()) as pool:  # Pillow works without the interpreter's lock
        deque(pool.map(load, range(n)), maxlen=0)
    return Photographs(fine, coarse, aspect)


def _decoded(source: Source) -> Image.Image:
    try:
        return decode(load_bytes(source, Limits().max_bytes)).image
    except ImageRejected as error:
        raise _unusable(source, str(error)) from error


def _unusable(source: Source, why: str) -> InputError:
    return InputError(f"cannot train on {source.printable}: {why}; remove it")


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _channels_first(pixels: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)  # (3, s, s)
