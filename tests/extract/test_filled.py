"""Laws of filled batches: the function's own rows, and no size that it has not met before but a larger one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from simsearch.distance import js
from simsearch.extract.neural.extractor import Filled, NeuralExtractor


def test_rows_are_those_of_the_function_and_sizes_only_grow(rng):
    sizes = []

    def forward(pixels):
        sizes.append(len(pixels))
        return pixels.float().mean(dim=(1, 2))

    filled = Filled(forward)
    for n in (4, 2, 4, 1, 9, 3, 0):
        pixels = torch.from_numpy(rng.integers(0, 256, (n, 5, 5, 3), np.uint8))
        assert torch.equal(filled(pixels), pixels.float().mean(dim=(1, 2)))
    assert sizes == [4, 4, 4, 4, 9, 9, 9]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_compiled_network_gives_the_same_rows(tiny: Path, rng):
    plain, compiled = (NeuralExtractor(tiny, device="cpu", dtype="float32") for _ in range(2))
    compiled.compile()
    compiled.admit()
    for n in (6, 2, 6):
        pixels = rng.integers(0, 256, (n, 32, 32, 3), np.uint8)
        assert np.diagonal(js(plain.embed_pixels(pixels), compiled.embed_pixels(pixels))).max() < 1e-3
