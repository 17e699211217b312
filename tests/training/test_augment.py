"""An edit's tensor form does to a picture what its Pillow form does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from simsearch.extract.networks.resnet import luminance
from simsearch.images.perturb import FAMILIES
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment import FORMS, OF_COLOURS
from simsearch.training.augment.image_batch import Squares, at_own_size, own_pixels, prepared
from simsearch.training.augment.jpeg import compressed
from simsearch.training.data.images import square

SIDE = 144
SQUASH = Preprocessing(64, "squash", 64, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
CROP = Preprocessing(40, "crop", 48, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
SHAPES = ((144, 96), (90, 144))
BY_NAME = {family.name: family for family in FAMILIES}
STRENGTHS = [
    (name, strength)
    for name in FORMS
    for strength in dict.fromkeys((BY_NAME[name].strengths[0], BY_NAME[name].strengths[-1]))
]
RANDOM = {"gaussian_noise", "s&p_noise", "speckle_noise", "perspective", "crop_anywhere"}
LEVELS = 4.5
"""Tolerance: mean absolute difference of what the network sees, in grey levels of 255, for edits without chance."""
SHARE = 0.25
"""Tolerance: difference of how far an edit moves the picture, as a share of that; for edits with chance as means."""


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Coloured blobs and some detail two pixels wide, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = rng.integers(0, 256, (size[1] // 2, size[0] // 2, 3), dtype=np.uint8)
    fine = Image.fromarray(grain).resize(size, Image.Resampling.BICUBIC)
    grained = 0.9 * np.asarray(coarse, np.float32) + 0.1 * np.asarray(fine, np.float32)
    return Image.fromarray(grained.clip(0, 255).astype(np.uint8))


def squares(*pictures: Image.Image) -> Squares:
    pixels = torch.stack([square(one, SIDE) for one in pictures]).float()
    return Squares(pixels, torch.tensor([one.size for one in pictures], dtype=torch.float32))


def seen(image: Image.Image, how: Preprocessing = SQUASH) -> Tensor:
    return torch.from_numpy(how.apply(image)).permute(2, 0, 1).float()


@pytest.mark.parametrize(("name", "strength"), STRENGTHS)
@pytest.mark.parametrize("size", SHAPES)
def test_both_forms_have_the_same_effect(name: str, strength: str, size: tuple[int, int]) -> None:
    draws = 8 if name in RANDOM else 1
    pictures = [picture(size, seed) for seed in range(draws)]
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    by_pillow = torch.stack([seen(BY_NAME[name].at(strength).apply(one, rng)) for one in pictures])
    edited = FORMS[name](squares(*pictures), torch.full((draws,), float(strength or 0)), generator)
    by_tensor = prepared(edited, SQUASH)
    plain = torch.stack([seen(one) for one in pictures])
    moved = [(view - plain).abs().mean() for view in (by_pillow, by_tensor)]
    assert moved[1] == pytest.approx(float(moved[0]), rel=SHARE, abs=1.0)
    if name not in RANDOM:
        assert (by_tensor - by_pillow).abs().mean() < LEVELS


@pytest.mark.parametrize("name", sorted(set(FORMS) - RANDOM))
def test_a_form_treats_each_picture_alone(name: str) -> None:
    """What is done to one does not depend on the others: strengths and sizes are each picture's own."""
    family = BY_NAME[name]
    strengths = torch.tensor([float(family.strengths[0] or 0), float(family.strengths[-1] or 0)])
    both = squares(picture(SHAPES[0]), picture(SHAPES[1], 1))
    together = FORMS[name](both, strengths, torch.Generator())
    for i in (0, 1):
        at = torch.tensor([i])
        alone = FORMS[name](both.at(at), strengths[i : i + 1], torch.Generator())
        torch.testing.assert_close(together.pixels[i : i + 1], alone.pixels, atol=0.01, rtol=0)
        assert together.sizes[i].tolist() == alone.sizes[0].tolist()


@pytest.mark.parametrize(("name", "strength"), STRENGTHS)
def test_luminance_alone_is_edited_as_in_a_picture_of_colours(name: str, strength: str) -> None:
    one = squares(picture(SHAPES[0]))
    grey, strengths = replace(one, pixels=luminance(one.pixels)), torch.tensor([float(strength or 0)])
    alone = FORMS[name](grey, strengths, torch.Generator().manual_seed(0))
    of_colours = FORMS[name](one, strengths, torch.Generator().manual_seed(0))
    assert alone.pixels.shape == grey.pixels.shape
    assert alone.sizes.tolist() == of_colours.sizes.tolist()
    by_both = [luminance(prepared(edited, SQUASH)) for edited in (alone, of_colours)]
    assert name in OF_COLOURS or (by_both[0] - by_both[1]).abs().mean() < LEVELS


@pytest.mark.parametrize("how", [SQUASH, CROP])
@pytest.mark.parametrize("size", SHAPES)
def test_preprocessing_of_a_square_is_that_of_its_picture(how: Preprocessing, size: tuple[int, int]) -> None:
    one = picture(size)
    assert (prepared(squares(one), how)[0] - seen(one, how)).abs().mean() < 1.5


@pytest.mark.parametrize("quality", [5, 30, 75])
def test_jpeg_rounds_as_libjpeg_does(quality: int) -> None:
    import io

    one, buffer = picture((64, 48)), io.BytesIO()
    one.save(buffer, "JPEG", quality=quality)
    theirs = torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1).float()
    ours = compressed(torch.from_numpy(np.array(one)).permute(2, 0, 1).unsqueeze(0).float(), torch.tensor([quality]))
    assert (ours[0] - theirs).abs().mean() < 2.0
    plain = torch.from_numpy(np.array(one)).permute(2, 0, 1)
    assert (theirs - plain).abs().mean() > 2.0, "the tolerance is below the effect"


def test_a_picture_at_its_own_size_has_its_own_pixels() -> None:
    one = picture((144, 72))
    found: list[Tensor] = []

    def look(x: Tensor, own: Tensor) -> Tensor:
        found.append(x)
        assert own.tolist() == [[144, 72]]
        return x

    back = at_own_size(squares(one), look)
    assert (found[0][0, :, :72] - torch.from_numpy(np.array(one)).permute(2, 0, 1)).abs().mean() < 2.0
    assert (back.pixels - squares(one).pixels).abs().mean() < 3.0


def test_each_pixel_of_a_picture_has_one_value_of_a_field() -> None:
    field = own_pixels(torch.rand(1, 1, 8, 8), torch.tensor([[4.0, 2.0]]))[0, 0]
    assert (field.view(2, 4, 4, 2).amax((1, 3)) == field.view(2, 4, 4, 2).amin((1, 3))).all()
    assert len(field.unique()) == 8
