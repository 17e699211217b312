from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError
from simsearch.images import Preprocessing, decode
from simsearch.images.preprocess import KERNELS, OUTSIDE
from tests.images.pictures import SQUASH, array, encoded, scene

CROP = dataclasses.replace(SQUASH, fit="crop", size=24, resize=32)


@pytest.mark.parametrize("kernel", KERNELS)
def test_squash_is_pillows_resize(kernel: str) -> None:
    wanted = scene(201, 97).resize((24, 24), KERNELS[kernel])
    pixels = dataclasses.replace(SQUASH, kernel=kernel).apply(scene(201, 97))
    assert (pixels.shape, pixels.dtype) == ((24, 24, 3), np.uint8)
    assert np.array_equal(pixels, np.asarray(wanted))
    assert pixels.flags.writeable


@pytest.mark.parametrize("size", [(32, 32), (201, 97), (97, 201), (33, 1000), (20, 30), (481, 321)])
def test_crop_is_a_resize_of_the_shorter_side_then_the_centre(size: tuple[int, int]) -> None:
    image, shorter = scene(*size), min(size)
    whole = image.resize((int(32 * size[0] / shorter), int(32 * size[1] / shorter)), Image.Resampling.BILINEAR)
    left, top = (round((side - 24) / 2) for side in whole.size)
    wanted = whole.crop((left, top, left + 24, top + 24))
    assert np.abs(CROP.apply(image).astype(int) - array(wanted)).max() <= 2


@pytest.mark.parametrize("size", [(32, 32), (201, 97), (97, 201), (1, 900), (20, 30)])
def test_inside_is_a_resize_of_the_longer_side_at_the_top_left(size: tuple[int, int]) -> None:
    how, image = dataclasses.replace(SQUASH, fit="inside"), scene(*size)
    wide, high = (max(1, round(24 * side / max(size))) for side in size)
    pixels = how.apply(image)
    assert np.array_equal(pixels[:high, :wide], image.resize((wide, high), Image.Resampling.BILINEAR))
    outside = np.ones((24, 24), bool)
    outside[:high, :wide] = False
    assert (pixels[outside] == OUTSIDE).all()
    assert how.decoding["at_least"] == 15


def test_every_field_is_in_the_digest() -> None:
    changed = [
        dataclasses.replace(SQUASH, size=25, resize=25),
        CROP,
        dataclasses.replace(SQUASH, fit="inside"),
        dataclasses.replace(CROP, resize=33),
        dataclasses.replace(SQUASH, kernel="box"),
        dataclasses.replace(SQUASH, mean=(0, 0, 0.5)),
        dataclasses.replace(SQUASH, std=(1, 1, 0.5)),
        dataclasses.replace(SQUASH, exif=False),
        dataclasses.replace(SQUASH, alpha="contrast"),
        dataclasses.replace(SQUASH, icc="srgb"),
    ]
    assert len(dataclasses.fields(SQUASH)) == 9  # a new field needs its line
    digests = {value.digest for value in (SQUASH, *changed)}
    assert len(digests) == len(changed) + 1
    assert dataclasses.replace(SQUASH).digest == SQUASH.digest


def test_a_field_that_came_later_leaves_older_digests_alone() -> None:
    """The digest of this value before there was `icc`."""
    assert "icc" not in SQUASH.identity
    assert SQUASH.digest == "be93aabba646aa3ba234c5234920dbda9ccaa5a850df3a4143674ced7ed976c9"
    assert SQUASH.as_seen.decoding == {"at_least": 24, "exif": True, "alpha": "contrast", "icc": "srgb"}


def test_the_digest_does_not_tell_whole_numbers_from_floats() -> None:
    assert (
        dataclasses.replace(SQUASH, mean=(0, 0, 0)).digest == dataclasses.replace(SQUASH, mean=(0.0, 0.0, 0.0)).digest
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"resize": 25},
        {"fit": "crop", "resize": 10},
        {"fit": "pad"},
        {"kernel": "nearest"},
        {"alpha": "black"},
        {"icc": "p3"},
    ],
)
def test_values_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        dataclasses.replace(SQUASH, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [SQUASH, CROP])
def test_a_reduced_jpeg_gives_nearly_the_same_pixels(value: Preprocessing) -> None:
    rng = np.random.default_rng(0)
    detail = rng.normal(0, 12, (900, 1200, 1)) + np.asarray(scene(1200, 900), np.float64)
    data = encoded(Image.fromarray(detail.clip(0, 255).astype(np.uint8)), "JPEG", quality=90)
    reduced = decode(data, at_least=value.at_least).image
    assert reduced.size == ((150, 113))
    apart = np.abs(value.apply(reduced).astype(int) - value.apply(decode(data).image).astype(int))
    assert apart.mean() < 1
    assert apart.max() <= 13
