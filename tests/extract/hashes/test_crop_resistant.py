"""The crop-resistant hash is ImageHash's, hash for hash, and much faster."""

from __future__ import annotations

import doctest
import io
import tarfile

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from simsearch.errors import InputError
from simsearch.extract.hashes import crop_resistant
from simsearch.extract.hashes.crop_resistant import CropResistant
from simsearch.search.multi_vector.distances import image_distances
from tests.images.pictures import scene


def oracle(image, size=8):
    imagehash = pytest.importorskip("imagehash")
    found = imagehash.crop_resistant_hash(image, lambda segment: imagehash.dhash(segment, size))
    return np.stack([np.packbits(one.hash) for one in found.segment_hashes])


def blobs(rng, width, height):
    """Bright and dark shapes of all sizes on noise."""
    image = Image.fromarray(rng.integers(90, 166, (height, width, 3), np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 40)):
        x, y, r = rng.integers(0, width), rng.integers(0, height), rng.integers(2, 60)
        draw.ellipse((int(x - r), int(y - r), int(x + r), int(y + r)), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return image


def white_with(*boxes):
    image = Image.new("RGB", (300, 300), "white")
    for box in boxes:
        image.paste("black", box)
    return image


@pytest.mark.parametrize("seed", range(5))
def test_the_hashes_are_those_of_imagehash_in_its_order(seed):
    rng = np.random.default_rng(seed)
    width, height = rng.integers(1, 700, 2).tolist()
    image = blobs(rng, width, height) if seed % 2 else scene(width, height, seed=seed)
    np.testing.assert_array_equal(CropResistant().parts([image])[0], oracle(image))


@pytest.mark.parametrize("size", [2, 11, 16])
def test_any_size_of_hash(size):
    extractor = CropResistant(size=size)
    (rows,) = extractor.parts([scene(200, 140)])
    assert extractor.bits == size**2
    assert rows.shape[1] == extractor.dimension == -(-(size**2) // 8)
    np.testing.assert_array_equal(rows, oracle(scene(200, 140), size))


def test_imagehash_never_sees_the_last_dark_regions():
    first, last = (20, 20, 50, 50), (260, 260, 290, 290)
    counts = [len(CropResistant().parts([white_with(*boxes)])[0]) for boxes in ([first], [last], [first, last])]
    # One region of 900 pixels is below the 1200 of the border around the picture; of two the later one is.
    assert counts == [1, 1, 2]
    for boxes in ([first], [last], [first, last]):
        np.testing.assert_array_equal(CropResistant().parts([white_with(*boxes)])[0], oracle(white_with(*boxes)))


def test_a_picture_without_large_regions_is_hashed_whole():
    tiles = np.kron(np.indices((15, 15)).sum(0) % 2, np.ones((20, 20), np.uint8)).astype(np.uint8) * 255
    image = Image.fromarray(tiles).convert("RGB")
    (rows,) = CropResistant().parts([image])
    assert len(rows) == 1
    np.testing.assert_array_equal(rows, oracle(image))


@pytest.mark.slow
def test_photographs_too(data):
    with tarfile.open(data / "strangers" / "dev.tar") as archive:
        members = [member for member in archive if member.name.endswith((".jpg", ".png"))][:40]
        for member in members:
            image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
            np.testing.assert_array_equal(CropResistant().parts([image])[0], oracle(image), member.name)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3), (7, 300)])
def test_the_smallest_pictures_have_hashes(size):
    (rows,) = CropResistant().parts([scene(400, 400).resize(size)])
    assert rows.shape[1] == 8
    assert len(rows)


def test_comparing_then_taking_the_majority_is_comparing_the_median(rng):
    values = rng.integers(0, 256, (40, 30), dtype=np.uint8)
    expected = ndimage.median_filter(values, 3, mode="nearest") > 128
    np.testing.assert_array_equal(crop_resistant._majority(values > 128), expected)


def test_regions_are_numbered_by_their_first_pixels(rng):
    """What the order of the hashes and the end of ImageHash's search rest on."""
    for share in (0.3, 0.5, 0.6):
        labels, count = ndimage.label(rng.random((60, 80)) < share)
        present, first = np.unique(labels, return_index=True)
        assert len(present) == count + 1
        assert (np.diff(first[1:]) > 0).all()


def test_a_crop_keeps_a_region():
    image = white_with((60, 80, 150, 180))
    image.paste(scene(60, 70).point(lambda value: value // 3), (75, 95))
    extractor = CropResistant()
    cropped, whole = extractor.parts([image.crop((30, 30, 280, 280)), image])
    assert image_distances([cropped], [whole], metric=extractor.metric)[0, 0] < 0.05


def test_names_and_fingerprints_tell_parameters_apart():
    made = [CropResistant(), CropResistant(size=11), CropResistant(cutoff=5), CropResistant(size=11, cutoff=5)]
    names = [
        "crop_resistant",
        "crop_resistant(size=11)",
        "crop_resistant(cutoff=5)",
        "crop_resistant(cutoff=5,size=11)",
    ]
    assert [one.name for one in made] == names
    assert len({one.fingerprint for one in made}) == 4
    assert [one.cutoff for one in made] == [1, 1, 5, 5]
    assert set(made[0].runtime()) == {"pillow"}


@pytest.mark.parametrize("wrong", [{"size": 1}, {"size": 301}, {"size": 8.0}, {"cutoff": 0}, {"cutoff": True}])
def test_parameters_out_of_range_are_named(wrong):
    with pytest.raises(InputError, match=f"crop_resistant: {next(iter(wrong))}="):
        CropResistant(**wrong)


def test_the_examples_hold():
    assert doctest.testmod(crop_resistant).failed == 0
