"""Photographs held in memory as squashed squares, ready for augmentation on the device."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simsearch.errors import ImageRejected, InputError
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
    rng = np.random.default_rng(seed)
    fine, coarse, aspect = [], [], []
    for source in find(paths):
        if isinstance(source, Rejected):
            raise _unusable(source.source, f"{source.code}: {source.message}")
        try:
            image = decode(load_bytes(source, Limits().max_bytes)).image
        except ImageRejected as error:
            raise _unusable(source, str(error)) from error
        forms = (image, _compressed(image, int(rng.integers(jpeg[0], jpeg[1] + 1))))
        fine.append([np.asarray(form.resize((FINE, FINE), Image.Resampling.BILINEAR)) for form in forms])
        coarse.append([preprocessing.apply(form) for form in forms])
        aspect.append(image.width / image.height)
    if not fine:
        raise InputError("found no photographs to train on")
    return Photographs(_stack(fine), _stack(coarse), torch.tensor(aspect, dtype=torch.float32))


def _unusable(source: Source, why: str) -> InputError:
    return InputError(f"cannot train on {source.printable}: {why}; remove it")


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _stack(pairs: list[list[np.ndarray]]) -> Tensor:
    """Return (2, n, 3, s, s) from n pairs of (s, s, 3), freeing each pair as it goes."""
    side = pairs[0][0].shape[0]
    out = torch.empty((2, len(pairs), 3, side, side), dtype=torch.uint8)
    for i in range(len(pairs)):
        for form in range(2):
            out[form, i] = torch.from_numpy(pairs[i][form].copy()).permute(2, 0, 1)
        pairs[i] = []
    return out
