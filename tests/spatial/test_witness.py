"""Keypoints are those of a plain reading of their definition, the same for the same picture, and packed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError
from simsearch.images.preprocess import OUTSIDE
from simsearch.spatial import POINT, query_witnesses, witness
from simsearch.spatial.keypoint_kernels import BITS, BORDER, PATTERN, RADIUS, keypoints
from simsearch.spatial.witness import ASKED, DEFAULT_BYTES, luma_of
from tests.spatial.pictures import picture


def luma(seed: int = 0, size: tuple[int, int] = (240, 180)) -> np.ndarray:
    return np.asarray(picture(seed, size).convert("L"))


def eigenvalues(image: np.ndarray) -> np.ndarray:
    """Smaller eigenvalues of the second moments of Sobel's gradients over 5 x 5 places."""
    from scipy.ndimage import correlate, sobel

    right, down = (sobel(image.astype(np.int64), axis=axis, mode="constant") for axis in (1, 0))
    xx, yy, xy = (correlate(one, np.ones((5, 5), np.int64)) for one in (right**2, down**2, right * down))
    return 0.5 * (xx + yy - np.sqrt((xx - yy) ** 2.0 + 4.0 * xy**2))


def found(image: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    out, bits = np.zeros((count, 3)), np.zeros((count, BITS // 64), np.uint64)
    number = keypoints(image, count, PATTERN, out, bits)
    return out[:number], bits[:number]


@pytest.mark.parametrize("count", [1, 7, 40])
def test_keypoints_are_peaks_of_the_smaller_eigenvalue_and_the_strongest_is_first(count: int) -> None:
    image = luma()
    strength = eigenvalues(image)
    points, _ = found(image, count)
    assert len(points) == count
    inside = strength[BORDER:-BORDER, BORDER:-BORDER]
    for x, y, _ in points:
        around = strength[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
        assert strength[int(y), int(x)] >= around.max() * (1 - 1e-6)
    x, y = points[0, :2].astype(int)
    assert strength[y, x] >= inside.max() * (1 - 1e-6)


def test_direction_and_bits_are_those_of_their_definition() -> None:
    from scipy.ndimage import correlate

    image = luma(1)
    points, bits = found(image, 30)
    sums = correlate(image.astype(np.int64), np.ones((5, 5), np.int64))
    down, right = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disc = right**2 + down**2 <= RADIUS**2
    places = points[:, :2].astype(int).tolist()
    for (x, y), angle, code in zip(places, points[:, 2], bits, strict=True):
        patch = image[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1].astype(np.int64) * disc
        assert angle == pytest.approx(math.atan2((down * patch).sum(), (right * patch).sum()))
        cosine, sine = math.cos(angle), math.sin(angle)
        for b, (a, c, u, v) in enumerate(PATTERN):
            one, other = (
                sums[y + round(sine * p + cosine * q), x + round(cosine * p - sine * q)] for p, q in ((a, c), (u, v))
            )
            assert (int(code[b // 64]) >> (b % 64)) & 1 == (one < other)


def test_points_lie_apart_where_there_are_more_than_are_wanted() -> None:
    few, many = (found(luma(2, (300, 200)), count)[0][:, :2] for count in (12, 120))
    gaps = [np.sort(np.hypot(*(points[:, None] - points).T), axis=0)[1].min() for points in (few, many)]
    assert gaps[0] > 3 * gaps[1] > 0


def test_a_witness_is_packed_into_the_room_that_there_is() -> None:
    image = picture(3, (500, 375))
    assert POINT.itemsize == 22
    for room in (22, 200, 2048, 16384):
        points = witness(image, most_bytes=room)
        assert points.nbytes <= room
        assert len(points) >= 0.9 * (room // 22) or room == 16384
    with pytest.raises(InputError, match="21 bytes hold no keypoint; one takes 22"):
        witness(image, most_bytes=21)


def test_a_witness_tells_places_in_shares_of_the_longer_side() -> None:
    dot = Image.new("L", (600, 300), 128)
    dot.paste(255, (440, 140, 460, 160))
    points = witness(dot)
    finest = points[points["size"] == points["size"].max()]
    x, y = finest["x"] / 65536 * 600, finest["y"] / 65536 * 600
    assert np.abs(x - 450).max() < 25
    assert np.abs(y - 150).max() < 25
    sides = sorted(set((320 * 2.0 ** (points["size"] / -32.0)).tolist()))
    assert sides[0] == pytest.approx(31, rel=0.02)
    assert all(b / a == pytest.approx(math.sqrt(2), rel=0.05) for a, b in itertools.pairwise(sides))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_picture_has_the_same_witness_each_time_in_any_mode(mode: str) -> None:
    image = picture(4, (200, 150)).convert("L" if mode == "I;16" else mode)
    assert np.array_equal(witness(image), witness(image.copy()))
    assert len(witness(image)) > 20


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (40, 40), (900, 30), (320, 200)])
def test_blank_and_tiny_pictures_have_no_keypoints(size: tuple[int, int]) -> None:
    assert len(witness(Image.new("RGB", size, "grey"))) == 0


def test_what_is_outside_of_a_picture_is_no_part_of_it_whatever_its_colours(rng: np.random.Generator) -> None:
    outside = np.array(OUTSIDE, np.uint8)
    for _ in range(300):
        high, wide = rng.integers(1, 7, 2)
        pixels = np.where(rng.random((high, wide, 1)) < 0.7, outside, rng.integers(0, 2, (high, wide, 3), np.uint8))
        inside = (pixels != outside).any(axis=2)
        wanted = [int(np.flatnonzero(inside.any(axis=axis)).max(initial=0)) + 1 for axis in (0, 1)]
        assert list(luma_of(pixels).size) == wanted


def test_a_query_is_seen_in_three_ways() -> None:
    image = picture(5, (200, 150))
    views = query_witnesses(image)
    assert list(views) == ["plain", "mirrored", "inverted"]
    assert np.array_equal(views["plain"], witness(image, most_bytes=ASKED * DEFAULT_BYTES))
    assert not np.array_equal(views["mirrored"], views["plain"])
