"""Labelled pairs: copies, and look-alikes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simsearch.errors import ImageRejected, InputError
from simsearch.images.decode import AS_SEEN, decode
from simsearch.runtime.user_files import read_csv
from simsearch.training.data.images import square

_WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
COLUMNS = ("a", "b", "copy")


@dataclass(frozen=True, slots=True)
class PairList:
    """Pairs with their pictures.

    Attributes:
        a: (m, 3, s, s) uint8, the first picture of each pair.
        b: (m, 3, s, s) uint8, the second.
        sizes: (2, m, 2) float32, widths and heights of both.
        copies: (m,) bool, whether one is a copy of the other.
    """

    a: Tensor
    b: Tensor
    sizes: Tensor
    copies: Tensor

    def __len__(self) -> int:
        return len(self.copies)

    def drawn(self, rng: np.random.Generator, n: int) -> dict[str, Tensor]:
        """Return n pairs by chance, each once where there are enough."""
        chosen = torch.from_numpy(rng.choice(len(self), n, replace=n > len(self)))
        return {"a": self.a[chosen], "b": self.b[chosen], "sizes": self.sizes[:, chosen], "copies": self.copies[chosen]}


def read_pairs(path: Path, *, side: int) -> PairList:
    """Return the pairs in a CSV with the columns a, b and copy.

    Args:
        path: Paths inside are relative to its folder; copy is yes or no (also true, false, 1, 0).
        side: Of the squares at which pictures are held.

    Raises:
        InputError: The file is no such list, is empty, or names a picture that cannot be used; the line is named.
    """
    rows = read_csv(path, COLUMNS)
    if not rows:
        raise InputError(f"{path} holds no pairs; write some or leave `pairs` out")
    pictures: dict[str, Image.Image] = {}
    copies = []
    for line, row in enumerate(rows, start=2):
        word = (row["copy"] or "").strip().lower()
        if word not in _WORDS:
            raise InputError(f"{path}, line {line}: copy is {row['copy']!r}; write yes or no")
        copies.append(_WORDS[word])
        for name in (row["a"], row["b"]):
            if name not in pictures:
                pictures[name] = _picture(path, line, name, side)
    sides = [[pictures[row[key]] for row in rows] for key in ("a", "b")]
    a, b = (torch.stack([square(image, side) for image in images]) for images in sides)
    sizes = torch.tensor([[image.size for image in images] for images in sides], dtype=torch.float32)
    return PairList(a, b, sizes, torch.tensor(copies))


def _picture(path: Path, line: int, name: str, side: int) -> Image.Image:
    try:
        image = decode((path.parent / name).read_bytes(), at_least=side, **AS_SEEN).image
    except (OSError, ImageRejected) as error:
        raise InputError(f"{path}, line {line}: {name}: {error}") from error
    image.thumbnail((side, side))
    return image
