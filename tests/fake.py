"""A numpy extractor for tests: starts at once, and close copies have close rows."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.extractor import Extractor
from simsearch.images.preprocess import Preprocessing

SIDE, CELLS = 32, 8


class FakeExtractor(Extractor):
    """Mean colours of an 8 x 8 grid: 192 non-negative values, never all zero."""

    name = "fake"
    fingerprint = hashlib.sha256(b"fake").hexdigest()
    dimension = CELLS * CELLS * 3
    non_negative = True
    metric = "js"
    preprocessing = Preprocessing(SIDE, "squash", SIDE, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        n, step = len(pixels), SIDE // CELLS
        cells = pixels.reshape(n, CELLS, step, CELLS, step, 3).mean((2, 4), dtype=np.float32)  # (n, 8, 8, 3)
        return (cells / 255 + 0.01).reshape(n, self.dimension)


class OtherExtractor(FakeExtractor):
    """The same rows under another identity."""

    name = "other"
    fingerprint = hashlib.sha256(b"other").hexdigest()


class BlindExtractor(FakeExtractor):
    """Rows that say nothing of how an image looks: any edit gives another one."""

    name = "blind"
    fingerprint = hashlib.sha256(b"blind").hexdigest()

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        seeds = [int.from_bytes(hashlib.sha256(one.tobytes()).digest()[:8]) for one in pixels]
        rows = [np.random.default_rng(seed).random(self.dimension, np.float32) for seed in seeds]
        return np.stack(rows)
