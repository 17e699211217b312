"""What edits of colour do to every pixel, told by slow oracles; thumbnails; and the edits of configs/today.yaml."""

from __future__ import annotations

import colorsys
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from simsearch.benchmark.data.edit_set import edit_names
from simsearch.images.perturb import by_name
from tests.images.pictures import array, scene

GREY_LEVELS = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert("RGB")
TODAY = Path(__file__).parents[4] / "configs" / "today.yaml"


@pytest.fixture
def colours():
    """Every colour of a coarse grid and a thousand by chance, as one image."""
    grid = np.array(list(itertools.product((0, 1, 50, 128, 200, 254, 255), repeat=3)))
    drawn = np.random.default_rng(0).integers(0, 256, (1000, 3))
    return Image.fromarray(np.concatenate([grid, drawn]).astype(np.uint8)[None])


def edited(name, image, seed=0):
    return by_name(name).apply(image, np.random.default_rng(seed))


def test_black_and_white_is_luma_or_one_channel(colours):
    values = array(colours)
    luma = np.rint(values @ [0.299, 0.587, 0.114])
    for mix, expected in (("luma", luma), *((name, values[..., i]) for i, name in enumerate(("red", "green", "blue")))):
        out = array(edited(f"black_and_white(mix={mix})", colours))
        assert np.abs(out - expected[..., None]).max() <= (mix == "luma")
        assert (np.ptp(out, axis=-1) == 0).all()


@pytest.mark.parametrize("percent", [10, 50, 100])
def test_sepia_is_its_matrix_blended_with_the_image(percent, colours):
    values = array(colours).astype(float)
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    toned = np.minimum(255, values @ matrix.T)
    expected = values + percent / 100 * (toned - values)
    assert np.abs(array(edited(f"sepia_{percent}", colours)) - expected).max() <= 1.01


def test_a_duotone_is_a_line_from_a_dark_to_a_light_colour(colours):
    for seed in range(20):
        line = array(edited("duotone_100", GREY_LEVELS, seed))[0].astype(float)
        dark, light = line[0], line[255]
        assert dark.max() <= 85
        assert light.min() >= 170
        assert np.abs(line - (dark + np.arange(256)[:, None] / 255 * (light - dark))).max() <= 1
        luma = array(colours.convert("L"))[0]
        assert np.abs(array(edited("duotone_100", colours, seed))[0] - line[luma]).max() == 0


@pytest.mark.parametrize("degrees", [-90, -30, 30, 60, 120, 180])
def test_a_hue_is_turned_on_the_colour_wheel(degrees, colours):
    values, out = array(colours)[0], array(edited(f"hue_{degrees}", colours))[0]
    for before, after in zip(values / 255, out / 255, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        expected = colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)
        assert np.abs(after - expected).max() <= 0.06  # of 256 hues and saturations, cut off
    pure = Image.new("RGB", (1, 1), (255, 0, 0))
    assert array(edited("hue_120", pure))[0, 0].argmax() == 1


@pytest.mark.parametrize("percent", [-60, -25, 25, 60])
def test_warmth_scales_red_and_blue_against_each_other(percent, colours):
    factors = np.array([1 + percent / 100, 1, 1 - percent / 100])
    expected = np.minimum(255, array(colours) * factors)
    assert np.abs(array(edited(f"warmth_{percent}", colours)) - expected).max() <= 0.5


def test_channels_are_swapped_in_each_order_and_by_chance_in_all(colours):
    values = array(colours)
    made = set()
    for order in ("rbg", "grb", "gbr", "brg", "bgr"):
        out = edited(f"channel_swap(order={order})", colours)
        np.testing.assert_array_equal(array(out), values[..., ["rgb".index(name) for name in order]])
        made.add(out.tobytes())
    drawn = [edited("channel_swap", colours, seed).tobytes() for seed in range(200)]
    assert set(drawn) == made
    assert min(drawn.count(one) for one in made) > 15  # of 40 expected


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_inversion_is_the_negative_and_its_own_inverse(mode, colours):
    image = colours.convert(mode)
    once = edited("inversion", image)
    np.testing.assert_array_equal(array(once), 255 - array(image))
    assert edited("inversion", once).tobytes() == image.tobytes()


@pytest.mark.parametrize("name", ["black_and_white", "hue_77", "channel_swap"])
def test_greys_stay_what_they_are(name):
    for image in (GREY_LEVELS, GREY_LEVELS.convert("L")):
        assert edited(name, image).tobytes() == image.tobytes()


@pytest.mark.parametrize("factor", [0.1, 0.15])
def test_a_tenth_of_the_brightness_is_a_tenth_of_every_value(factor, colours):
    out = array(edited(f"brightness_enhancement_{factor}", colours))
    assert np.abs(out - factor * array(colours)).max() <= 1


@pytest.mark.parametrize("size", [(481, 321), (321, 481), (48, 48), (30, 12), (1, 900)])
def test_a_thumbnail_has_its_longer_side_and_never_grows(size):
    out = edited("thumbnail_48", scene(*size))
    assert max(out.size) == min(48, max(size))
    ratio = min(1, 48 / max(size))
    assert all(abs(own - max(1, ratio * side)) <= 0.5 for own, side in zip(out.size, size, strict=True))


def test_todays_edits_are_25_and_an_agencys_five_and_stay_what_they_were():
    settings = yaml.safe_load(TODAY.read_text())
    groups = settings["needle"]["groups"]
    assert {name: len(edit_names(edits)) for name, edits in groups.items()} == {"paper": 58, "today": 25, "agency": 5}
    for names in groups.values():
        for name in edit_names(names):
            assert by_name(name).name == name
    # Figures of different versions are compared by these edits: whoever changes one measures all of them anew.
    pinned = hashlib.sha256(json.dumps([groups, settings["edit_seed"]]).encode()).hexdigest()[:16]
    assert pinned == "48ef75e5fc070550"
