"""Views: their names, what each shows, and that a worker makes the same of a file as this process of its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError
from simsearch.images.find import find
from simsearch.images.source import Limits
from simsearch.images.views import KINDS, PLAIN, ViewPreprocessing, view_of, views_of_kinds
from simsearch.images.workers.pool import Pool, prepare
from simsearch.images.workers.prepared import Prepared
from tests.images.pictures import SQUASH, encoded, scene

ALL = views_of_kinds(tuple(KINDS))


def test_names_of_views_are_different_and_begin_with_the_picture() -> None:
    assert views_of_kinds(()) == views_of_kinds([]) == ()
    assert len(set(ALL)) == len(ALL) == 1 + 7 + 13 + 1
    assert ALL[0] == PLAIN
    assert views_of_kinds("crops,flips") == views_of_kinds(["flips", "crops"])
    assert len(views_of_kinds("flips")) == 2
    assert len(views_of_kinds("turns")) == 4


@pytest.mark.parametrize("kinds", ["flip", "", "flips,", ["flips", "nothing"], 3, None, {"flips"}, [["flips"]]])
def test_an_unknown_kind_of_view_names_those_there_are(kinds: object) -> None:
    with pytest.raises(InputError) as raised:
        views_of_kinds(kinds)
    assert all(kind in str(raised.value) for kind in KINDS)


def test_flips_and_turns_are_all_isometries() -> None:
    image = scene(61, 40)
    array = np.asarray(image)
    wanted = {PLAIN: array, "mirrored": array[:, ::-1]}
    for turn in (1, 2, 3):
        wanted[f"turned {90 * turn}"] = np.rot90(array, turn)
        wanted[f"mirrored, turned {90 * turn}"] = np.rot90(array[:, ::-1], turn)
    views = views_of_kinds("flips,turns")
    assert set(views) == set(wanted)
    for view in views:
        np.testing.assert_array_equal(np.asarray(view_of(image, view)), wanted[view])


def test_parts_lie_where_their_names_say() -> None:
    x, y = np.meshgrid(np.arange(200), np.arange(100))
    image = Image.fromarray(np.stack([x, y, y], axis=2).astype(np.uint8))
    for view in KINDS["crops"]:
        seen = view_of(image, view)
        assert seen is not None
        left, top = np.asarray(seen)[0, 0, :2] / (200, 100)
        right, bottom = (np.asarray(seen)[-1, -1, :2] + (1, 1)) / (200, 100)
        assert ("left" in view) == (left == 0 and right < 1)
        assert ("right" in view) == (right == 1 and left > 0)
        assert ("upper" in view) == (top == 0 and bottom < 1)
        assert ("lower" in view) == (bottom == 1 and top > 0)
        assert 0.25 <= (right - left) * (bottom - top) <= 0.5


@pytest.mark.parametrize("side", [1, 20])
def test_what_a_picture_is_too_small_for_is_no_view(side: int) -> None:
    missing = [view for view in ALL if view_of(scene(side, side), view) is None]
    assert missing == [*KINDS["crops"], "inner part"]


@pytest.mark.parametrize("workers", [0, 2])
def test_one_reading_of_a_file_gives_the_pixels_of_every_view(tmp_path: Path, workers: int) -> None:
    image = Image.new("RGB", (90, 120), (9, 80, 40))
    image.paste(scene(90, 80), (0, 20))
    (tmp_path / "a.png").write_bytes(encoded(image))
    each = [ViewPreprocessing.of(SQUASH, view) for view in ALL]
    (made,) = prepare(find([tmp_path]), each, workers=workers)
    assert isinstance(made, Prepared)
    for view, square in zip(ALL, made.squares, strict=True):
        seen = view_of(image, view)
        assert seen is not None
        np.testing.assert_array_equal(square, SQUASH.apply(seen))


def test_parts_of_a_large_jpeg_are_decoded_larger_than_the_whole() -> None:
    sides = {view: ViewPreprocessing.of(SQUASH, view).decoding["at_least"] for view in ALL}
    assert {view for view, side in sides.items() if side > SQUASH.resize} == {*KINDS["crops"], "inner part"}
    assert sides[PLAIN] == SQUASH.decoding["at_least"]


def test_no_more_is_begun_than_memory_allows() -> None:
    large = ViewPreprocessing(2048, "squash", 2048, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert Pool((large,) * 22, Limits(), 3).look_ahead == 3
    assert Pool((SQUASH,), Limits(), 3).look_ahead == 96
