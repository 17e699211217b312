"""Laws of the ten edits in tensor form: applied share, identity, strength."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor

from simsearch.images.perturb import by_name
from simsearch.training.augment import Augmenter, Edits, blur, brightness, colour, contrast
from simsearch.training.photographs import Photographs
from simsearch.training.text import text_bank

SHARES = ("rotate", "shear", "crop", "brightness", "contrast", "colour", "blur", "noise", "text", "jpeg")
NONE = replace(Edits(), **dict.fromkeys(SHARES, 0.0))


def photographs(n: int = 8) -> Photographs:
    """Smooth pictures in grey tones well inside the range, the compressed form one level brighter."""
    torch.manual_seed(3)
    coarse = torch.nn.functional.interpolate(60 + 120 * torch.rand(n, 3, 6, 6), (64, 64), mode="bicubic").clamp(20, 235)
    fine = torch.nn.functional.interpolate(coarse, (192, 192), mode="bilinear")
    forms = [torch.stack([x, x + 1]).round().byte() for x in (fine, coarse)]
    return Photographs(forms[0], forms[1], torch.linspace(0.6, 1.6, n))


def augmenter(edits: Edits, n: int = 8, seed: int = 0) -> Augmenter:
    return Augmenter(photographs(n), text_bank(64, count=16, seed=0), edits, seed=seed)


def changed(edits: Edits, *, n: int = 600) -> Tensor:
    index = torch.arange(n) % 8
    plain = augmenter(NONE).edited(index)
    return (augmenter(edits).edited(index) - plain).abs().amax(dim=(1, 2, 3))


def test_without_edits_a_view_is_the_clean_image() -> None:
    a = augmenter(NONE)
    index = torch.arange(8)
    assert (a.edited(index) - a.clean(index)).abs().mean() < 1.0


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_the_applied_share_is_the_stated_one(name: str, share: float) -> None:
    """Within five standard errors of 600 draws, counting images that changed visibly."""
    applied = (changed(replace(NONE, **{name: share})) > 0.5).float().mean()
    slack = 5 * (share * (1 - share) / 600) ** 0.5
    assert share - slack - 0.06 <= applied <= share + slack, "a few draws are too mild to show; none is extra"


def test_every_share_is_a_field() -> None:
    assert set(SHARES) <= {field.name for field in fields(Edits)}
    assert len(SHARES) == 10


def test_views_stay_in_range_and_repeat_under_a_seed() -> None:
    index = torch.arange(64) % 8
    first, again = augmenter(Edits(), seed=5).edited(index), augmenter(Edits(), seed=5).edited(index)
    assert first.min() >= 0
    assert first.max() <= 255
    assert (first == again).all()
    assert (first != augmenter(Edits(), seed=6).edited(index)).any()


def test_enhancements_equal_pillows(rng: np.random.Generator) -> None:
    array = np.asarray(Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).resize((40, 30)))
    image, x = Image.fromarray(array), torch.from_numpy(array.copy()).permute(2, 0, 1).unsqueeze(0).float()
    pairs = ((brightness, ImageEnhance.Brightness), (contrast, ImageEnhance.Contrast), (colour, ImageEnhance.Color))
    for ours, theirs in pairs:
        for factor in (0.5, 1.0, 2.0):
            mine = ours(x, torch.tensor([factor]))[0].permute(1, 2, 0).numpy()
            assert np.abs(mine - np.asarray(theirs(image).enhance(factor)).astype(float)).max() <= 2.5


def test_blur_keeps_the_mean_and_lowers_the_variance() -> None:
    x = torch.rand(2, 3, 32, 32) * 255
    soft = blur(x, 1.2)
    assert soft.shape == x.shape
    assert float((soft.mean() - x.mean()).abs()) < 3
    assert soft.var() < 0.2 * x.var()
    torch.testing.assert_close(blur(torch.full((1, 3, 9, 9), 7.0), 1.0), torch.full((1, 3, 9, 9), 7.0))


def test_a_quarter_turn_moves_the_corners_where_they_belong() -> None:
    """A bright top-left corner is at the top right after 90 degrees clockwise on the expanded canvas."""
    a = augmenter(replace(NONE, rotate=1.0, rotate_degrees=90.0, expand=1.0))
    picture = torch.zeros(2, 1, 3, 192, 192, dtype=torch.uint8)
    picture[..., :40, :40] = 255
    a.photographs = Photographs(picture, picture[..., ::3, ::3].contiguous(), torch.tensor([1.5]))
    a._uniform = lambda n, between: torch.full((n,), float(between[1]))  # type: ignore[method-assign]
    view = a.edited(torch.zeros(1, dtype=torch.long))[0, 0]
    places = {"top left": (4, 4), "top right": (4, -5), "bottom left": (-5, 4), "bottom right": (-5, -5)}
    assert [name for name, place in places.items() if view[place] > 200] == ["top right"]


@pytest.mark.parametrize(
    ("edit", "settings"),
    [
        ("rotation_-20_and_rescaling", {"rotate": 1.0, "rotate_degrees": 20.0, "expand": 1.0}),
        ("rotation_-60_and_rescaling", {"rotate": 1.0, "rotate_degrees": 60.0, "expand": 1.0}),
        ("shearing_20", {"shear": 1.0, "shear_degrees": 20.0}),
        ("cropping_40_and_rescaling", {"crop": 1.0, "crop_side": (0.6, 0.6), "crop_centred": 1.0}),
    ],
)
@pytest.mark.parametrize("size", [(240, 160), (160, 240)])
def test_geometry_is_that_of_the_paper(edit: str, settings: dict[str, float], size: tuple[int, int]) -> None:
    """An edit of the squashed squares shows what the paper's edit of the whole picture, squashed, shows."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(40, 216, (4, 5, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    a = augmenter(replace(NONE, **settings))
    squares = [np.array(picture.resize((side, side), Image.Resampling.BILINEAR)) for side in (192, 64)]
    fine, coarse = (torch.from_numpy(square).permute(2, 0, 1).expand(2, 1, -1, -1, -1) for square in squares)
    a.photographs = Photographs(fine, coarse, torch.tensor([size[0] / size[1]]))
    a._uniform = lambda n, between: torch.full((n,), float(between[1]))  # type: ignore[method-assign]
    a._log_uniform = lambda n, between: torch.ones(n)  # type: ignore[method-assign]
    view = a.edited(torch.zeros(1, dtype=torch.long))[0].permute(1, 2, 0).numpy()

    def apart(one: Image.Image) -> float:
        edited = by_name(edit).apply(one, rng).resize((64, 64), Image.Resampling.BILINEAR)
        return float(np.abs(view - np.asarray(edited, np.float32)).mean())

    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert apart(picture) < 3 < apart(mirrored), "black corners and content lie where they do there"
