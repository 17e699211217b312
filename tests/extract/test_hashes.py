"""Laws of the perceptual hashes."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest
from PIL import Image

from simsearch import distance
from simsearch.errors import DependencyMissing
from simsearch.extract import hashes
from simsearch.extract.golden import check_golden, write_golden

pytest.importorskip("imagehash")


@pytest.fixture
def photos(rng):
    coarse = rng.integers(0, 256, (6, 7, 9, 3), dtype=np.uint8)
    return [Image.fromarray(c).resize((240, 160), Image.Resampling.BICUBIC) for c in coarse]


def test_a_bit_says_whether_the_right_pixel_is_brighter(photos):
    rows = hashes.DHash().rows(photos)
    assert rows.shape == (6, 8)
    assert rows.dtype == np.uint8
    for row, photo in zip(rows, photos, strict=True):
        small = np.asarray(photo.convert("L").resize((9, 8), Image.Resampling.LANCZOS), int)
        np.testing.assert_array_equal(np.unpackbits(row).reshape(8, 8), small[:, 1:] > small[:, :-1])


def test_copies_are_nearer_than_strangers(photos):
    extractor = hashes.DHash()
    copies = [photo.resize((100, 80)) for photo in photos]
    distances = distance.hamming(extractor.rows(copies), extractor.rows(photos))
    assert (distances.argmin(axis=1) == np.arange(6)).all()
    assert np.diag(distances).max() < 0.1 < np.sort(distances, axis=1)[:, 1].min()


def test_every_way_of_giving_an_image_is_the_same(photos):
    extractor = hashes.DHash()
    rows = extractor.rows(photos)
    np.testing.assert_array_equal(extractor.embed(photos), rows)
    np.testing.assert_array_equal(extractor.embed([np.asarray(photo) for photo in photos]), rows)
    pixels = np.stack([extractor.preprocessing.apply(photo) for photo in photos])
    assert distance.hamming(extractor.embed_pixels(pixels), rows).diagonal().max() <= 2 / 64
    for none in (extractor.rows([]), extractor.embed([])):
        assert (none.shape, none.dtype) == ((0, 8), np.uint8)


def test_packed_bits_have_golden_rows_too(tmp_path):
    extractor = hashes.DHash()
    write_golden(extractor, tmp_path)
    assert check_golden(extractor, tmp_path) == 0


def test_a_missing_library_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DependencyMissing, match=r'pip install "simsearch\[benchmark\]"'):
        hashes.DHash()


def test_the_examples_hold():
    assert doctest.testmod(hashes).failed == 0
