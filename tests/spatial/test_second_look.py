"""Copies agree on how they lie in their originals, and strangers on nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from simsearch.images.perturb import by_name
from simsearch.spatial import look, query_witnesses, witness
from simsearch.spatial.geometry_kernels import agreement
from simsearch.spatial.second_look import unpacked
from tests.spatial.pictures import picture

COUNT = 6
STRANGERS = 3  # places on which two strangers agree at most


@pytest.fixture(scope="module")
def originals() -> list[Image.Image]:
    return [picture(seed) for seed in range(COUNT)]


EDITS = [
    *(
        "black_and_white",
        "sepia_100",
        "hue_30",
        "brightness_enhancement_0.5",
        "jpg_compression_30",
        "gaussian_noise_0.01",
    ),
    *("rotation_40_and_rescaling", "turn_90", "turn_180", "flip_horizontal", "inversion", "letterbox_25"),
    *("cropping_40_and_rescaling", "laid_on_image_50", "captioned_frame_10", "side_by_side_2", "text_length_30"),
]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_copy_agrees_with_its_original_and_with_no_other(originals: list[Image.Image], edit: str) -> None:
    items = [witness(one) for one in originals]
    for i, image in enumerate(originals):
        views = query_witnesses(by_name(edit).apply(image, np.random.default_rng(i)))
        places = [look(views, item).agreeing for item in items]
        assert places[i] > STRANGERS
        assert max(places[:i] + places[i + 1 :]) <= STRANGERS


def test_the_view_is_told(originals: list[Image.Image]) -> None:
    image = originals[0]
    for name, seen in {"plain": image, "mirrored": ImageOps.mirror(image), "inverted": ImageOps.invert(image)}.items():
        assert look(query_witnesses(seen), witness(image)).view == name


@pytest.mark.parametrize("box", [(0, 0, 240, 180), (100, 60, 420, 340), (200, 150, 480, 360)])
def test_the_outline_of_a_crop_is_the_box_that_was_cut(originals: list[Image.Image], box: tuple[int, ...]) -> None:
    for image in originals:
        crop = image.crop(box)
        seen = look(query_witnesses(crop), witness(image, most_bytes=8192))
        left, top, right, bottom = box
        wanted = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        assert np.abs(seen.outline(crop.size, image.size) - wanted).max() < 0.05 * max(image.size)


@pytest.mark.parametrize("degrees", [-120, -30, 15, 90, 170])
def test_a_turn_is_told(originals: list[Image.Image], degrees: int) -> None:
    for image in originals:
        seen = look({"plain": witness(image.rotate(degrees, expand=True))}, witness(image))
        assert seen.turned == pytest.approx(degrees, abs=3)


def test_pictures_without_keypoints_have_nothing_to_say(originals: list[Image.Image]) -> None:
    blank, some = witness(Image.new("L", (99, 99))), witness(originals[0])
    for views, item in (({"plain": blank}, some), ({"plain": some}, blank), ({"plain": blank}, blank), ({}, some)):
        seen = look(views, item)
        assert (seen.agreeing, seen.chart, seen.turned, seen.outline((9, 9), (9, 9))) == (0, None, None, None)


def planted(rng: np.random.Generator, chart: np.ndarray, right: int, wrong: int) -> tuple:
    """Keypoints of two pictures: so many that a map takes to each other, and others that match somewhere."""
    n = right + wrong
    places, turns = rng.uniform(0.1, 0.9, (n, 2)), rng.uniform(0, 6, n)
    scales, bits = np.log(rng.uniform(0.05, 0.2, n)), rng.integers(0, 1 << 63, (n, 2)).astype(np.uint64)
    ends = places @ chart[:, :2].T + chart[:, 2]
    ends[right:] = rng.uniform(0, 1, (wrong, 2))
    size, turn = np.sqrt(np.linalg.det(chart[:, :2])), np.arctan2(chart[1, 0], chart[0, 0])
    order = rng.permutation(n)
    ends, end_turns, end_scales = ends[order], (turns + turn)[order], (scales + np.log(size))[order]
    return (places, scales, turns, bits), (ends, end_scales, end_turns, bits[order]), order


@pytest.mark.parametrize(("right", "wrong"), [(2, 0), (5, 0), (8, 20), (30, 60)])
def test_the_map_of_planted_matches_is_found_among_wrong_ones(rng: np.random.Generator, right: int, wrong: int) -> None:
    for _ in range(10):
        turn, size = rng.uniform(0, 6), rng.uniform(0.3, 3)
        rotation = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        chart = np.column_stack([rotation, rng.uniform(-1, 1, 2)])
        query, item, order = planted(rng, chart, right, wrong)
        found, matches = np.zeros((2, 3)), np.zeros((right + wrong, 2), np.int64)
        matched, agreeing, _ = agreement(query, item, matches, found)
        assert matched == right + wrong
        assert right <= agreeing <= right + 0.2 * wrong
        pairs = {(i, int(np.flatnonzero(order == i)[0])) for i in range(right)}
        assert pairs <= {tuple(pair) for pair in matches[:agreeing].tolist()}
        np.testing.assert_allclose(found, chart, atol=0.05 * max(1, size))


def test_unpacked_values_are_those_that_were_packed() -> None:
    points = witness(picture(7))
    places, scales, turns, bits = unpacked(points)
    assert np.array_equal((places * 65536).round().astype(np.uint16), np.stack([points["x"], points["y"]], axis=1))
    assert (scales < 0).all()
    assert ((turns >= 0) & (turns < 6.2832)).all()
    assert np.array_equal(bits, points["bits"])
