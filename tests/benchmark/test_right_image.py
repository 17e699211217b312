"""The share of copies whose own original comes first."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from simsearch.benchmark.right_image import Share, right_image_first
from simsearch.errors import InputError
from simsearch.images.perturb import by_name
from tests.fake import FakeExtractor, OtherExtractor


class Brightness(FakeExtractor):
    """One number: the mean value. Scaling keeps it, brightening moves it to another photograph's."""

    name = "brightness"
    metric = "l1"
    dimension = 1

    def embed_pixels(self, pixels):
        return pixels.mean((1, 2, 3), dtype=np.float32)[:, None]


GREYS = [Image.new("RGB", (60, 40), (v, v, v)) for v in (20, 40, 80, 160)]


def test_a_world_of_four_greys():
    edits = [by_name("scaling_0.5"), by_name("brightness_enhancement_2")]
    seen = []
    table = right_image_first([Brightness()], GREYS, edits, progress=lambda *at: seen.append(at))
    assert table["scaling_0.5"]["brightness"] == Share.of(4, 4)
    # 20, 40 and 80 become their brighter neighbours; 160 becomes 255, nearest to itself.
    assert table["brightness_enhancement_2"]["brightness"] == Share.of(1, 4)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert json.loads(json.dumps(table["scaling_0.5"]["brightness"].to_dict()))["value"] == 1


def test_two_equal_photographs_cannot_both_come_first():
    table = right_image_first([Brightness()], [GREYS[0], GREYS[0]], [by_name("scaling_0.5")])
    assert table["scaling_0.5"]["brightness"].successes == 1


def test_extractors_stand_side_by_side_on_the_same_copies(rng):
    photos = [Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)) for _ in range(5)]
    table = right_image_first([FakeExtractor(), OtherExtractor()], photos, [by_name("gaussian_noise_0.05")], seed=2)
    assert list(table["gaussian_noise_0.05"]) == ["fake", "other"]
    assert len(set(table["gaussian_noise_0.05"].values())) == 1


def test_the_interval_is_exact():
    share = Share.of(498, 500)
    assert (share.successes, share.trials, share.value) == (498, 500, 0.996)
    assert share.low == pytest.approx(0.98563, abs=1e-4)
    assert share.high == pytest.approx(0.99952, abs=1e-4)


def test_nothing_to_do_is_refused():
    with pytest.raises(InputError, match="0 photographs and 1 edits"):
        right_image_first([Brightness()], [], [by_name("scaling_0.5")])
    with pytest.raises(InputError, match="4 photographs and 0 edits"):
        right_image_first([Brightness()], GREYS, [])
    with pytest.raises(InputError, match="extractors are named"):
        right_image_first([], GREYS, [by_name("scaling_0.5")])
