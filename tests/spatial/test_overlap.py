"""What two pictures have in common is where it lies, and the edit is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from simsearch.spatial import SecondLook, look, query_witnesses, witness
from simsearch.spatial.overlap import Overlap, area, clipped, overlap
from tests.spatial.pictures import picture

SIZE = (480, 360)


def compared(query: Image.Image, item: Image.Image) -> Overlap:
    seen = look(query_witnesses(query, most_bytes=8192), witness(item, most_bytes=8192))
    found = overlap(seen, query.size, item.size)
    assert found is not None
    return found


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def bounds(polygon: np.ndarray) -> np.ndarray:
    return np.concatenate([polygon.min(axis=0), polygon.max(axis=0)])


@pytest.fixture(scope="module")
def item() -> Image.Image:
    return picture(0, SIZE)


def test_a_plain_copy_overlaps_whole_and_nothing_was_done(item: Image.Image) -> None:
    found = compared(item.resize((240, 180)), item)
    assert found.edits == ()
    assert min(found.of_query, found.of_item) > 0.97
    np.testing.assert_allclose(bounds(found.in_item), [0, 0, *SIZE], atol=12)
    np.testing.assert_allclose(bounds(found.in_query), [0, 0, 240, 180], atol=6)


def test_a_crop_lies_where_it_was_cut(item: Image.Image) -> None:
    found = compared(item.crop((100, 60, 420, 340)), item)
    assert found.edits == ("cropped",)
    np.testing.assert_allclose(bounds(found.in_item), [100, 60, 420, 340], atol=15)
    np.testing.assert_allclose(bounds(found.in_query), [0, 0, 320, 280], atol=15)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_picture_in_a_picture_lies_where_it_was_laid(item: Image.Image, mirrored: bool) -> None:
    large = picture(50, (900, 700))
    large.paste(ImageOps.mirror(item) if mirrored else item, (300, 200))
    found = compared(large, item)
    assert found.edits == (("mirrored",) if mirrored else ()) + ("laid on another picture",)
    np.testing.assert_allclose(bounds(found.in_query), [300, 200, 780, 560], atol=25)
    assert found.of_item > 0.9
    assert found.of_query == pytest.approx(480 * 360 / (900 * 700), rel=0.15)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (ImageOps.mirror, ("mirrored",)),
        (ImageOps.invert, ("inverted",)),
        (lambda one: one.transpose(Image.Transpose.ROTATE_90), ("turned",)),
        (lambda one: ImageOps.mirror(one).transpose(Image.Transpose.ROTATE_180), ("mirrored", "turned")),
    ],
)
def test_the_edit_is_told(item: Image.Image, edit: object, told: tuple[str, ...]) -> None:
    assert compared(edit(item), item).edits == told  # type: ignore[operator]


def test_without_a_map_nothing_overlaps() -> None:
    assert overlap(SecondLook(0, 3, "plain", None), SIZE, SIZE) is None
    away = np.array([[1.0, 0, 5], [0, 1, 5]])
    assert overlap(SecondLook(4, 4, "plain", away), SIZE, SIZE) is None
    flat = np.zeros((2, 3))
    assert overlap(SecondLook(4, 4, "plain", flat), SIZE, SIZE) is None


@given(st.lists(st.integers(0, 40), min_size=8, max_size=8))
def test_boxes_are_clipped_as_intervals_are(sides: list[int]) -> None:
    a, b = (box(*np.sort(each.reshape(2, 2), axis=0).ravel()) for each in np.array(sides, float).reshape(2, 4))
    if area(b) == 0:
        return
    low, high = np.maximum(bounds(a)[:2], bounds(b)[:2]), np.minimum(bounds(a)[2:], bounds(b)[2:])
    assert area(clipped(a, b)) == pytest.approx(np.prod(np.maximum(high - low, 0)), abs=1e-6)
    assert area(clipped(a, b[::-1])) == pytest.approx(area(clipped(a, b)), abs=1e-6)
