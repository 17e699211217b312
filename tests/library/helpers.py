"""Tiny images and an extractor that counts what it embeds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.library import AddSettings, Library
from tests.fake import FakeExtractor

HERE = AddSettings(workers=0, batch_size=4)


class CountingExtractor(FakeExtractor):
    """Counts the images that it embeds."""

    def __init__(self) -> None:
        self.embedded = 0

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.embedded += len(pixels)
        return super().embed_pixels(pixels)


def paint(path: Path, seed: int) -> Path:
    """Write a small photograph-like image that depends on the seed alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def album(folder: Path, seeds: Iterable[int]) -> Path:
    """Write one image a seed."""
    for seed in seeds:
        paint(folder / f"{seed:04d}.png", seed)
    return folder


def make(path: Path, extractor: FakeExtractor | None = None) -> Library:
    return Library.create(path, model=extractor or FakeExtractor(), device="cpu")


def live_paths(library: Library) -> list[bytes]:
    return sorted(path for _, path in library.snapshot.paths() if path is not None)
