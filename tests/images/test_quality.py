from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.images import decode, quality
from simsearch.images.preprocess import Preprocessing


def textured(side: int = 96, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("side", [1, 2, 7, 24, 96, 224, 500])
def test_blank_and_nearly_blank_pictures_are_below_ten(side: int) -> None:
    rng = np.random.default_rng(0)
    for level in (0, 128, 255):
        blank = np.full((side, side, 3), level, np.uint8)
        assert quality(blank) == quality(blank[..., 0]) == 0
        noisy = (blank + rng.normal(0, 1, blank.shape)).clip(0, 255).astype(np.uint8)
        assert quality(noisy) < 10


def test_flat_pictures_are_below_ten() -> None:
    ramp = np.linspace(100, 120, 96, dtype=np.uint8)[None, :].repeat(96, axis=0)
    assert quality(ramp) < 10
    speck = np.full((96, 96), 255, np.uint8)
    speck[40:43, 40:43] = 0
    assert quality(speck) < 10
    buffer = BytesIO()
    Image.new("RGB", (300, 200), (250, 249, 248)).save(buffer, "JPEG", quality=20)
    assert quality(np.asarray(decode(buffer.getvalue()).image)) < 10


def test_most_photographs_are_above_fifty(data: Path) -> None:
    squash = Preprocessing(96, "squash", 96, "bilinear", (0, 0, 0), (1, 1, 1))
    files = sorted((data / "bsds500").glob("*/*.jpg"))[::10]
    grades = [quality(squash.apply(decode(file.read_bytes()).image)) for file in files]
    assert np.mean(np.array(grades) > 50) >= 0.95
    assert min(grades) >= 30


@pytest.mark.parametrize("side", [64, 96, 224])
def test_less_contrast_is_less_quality(side: int) -> None:
    image = textured(side).astype(np.float64)
    grades = [quality((128 + share * (image - 128)).round().astype(np.uint8)) for share in np.linspace(0, 1, 11)]
    assert grades == sorted(grades)
    assert grades[0] == 0
    assert grades[-1] > 50


@pytest.mark.parametrize("shape", [(96, 96), (224, 224), (97, 131)])
def test_turns_and_mirrors_hardly_matter(shape: tuple[int, int]) -> None:
    image = textured(256)[: shape[0], : shape[1]]
    grades = [quality(np.rot90(image, turn)) for turn in range(4)] + [quality(image[:, ::-1])]
    assert max(grades) - min(grades) <= 3


def test_the_side_of_the_picture_hardly_matters() -> None:
    grades = [quality(textured(side)) for side in (64, 128, 192, 256)]
    assert max(grades) - min(grades) <= 5


def test_grades_are_whole_numbers_up_to_a_hundred() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert quality(checks) == 100
    assert isinstance(quality(checks), int)
