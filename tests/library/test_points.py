"""A channel of keypoints: kept like any other, and searched by the places on which pictures agree."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError, MetricError
from simsearch.extract import load_extractor
from simsearch.images.decode import AS_SEEN, decode
from simsearch.images.perturb import by_name
from simsearch.library import Library
from simsearch.spatial import query_witnesses, witness
from simsearch.spatial.points import Points, views_of
from simsearch.spatial.second_look import look, places_agreeing
from simsearch.spatial.witness import packed, points_of
from tests.fake import FakeExtractor
from tests.library.helpers import HERE
from tests.spatial.pictures import picture

COUNT = 8


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("points") / "photos"
    folder.mkdir()
    for i in range(COUNT):
        picture(i).save(folder / f"{i}.jpg", quality=92)
    Image.new("RGB", (200, 90), "teal").save(folder / "blank.png")
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Library:
    path = tmp_path_factory.mktemp("library") / "both"
    with Library.create(path, model=[FakeExtractor(), "points"], device="cpu") as made:
        assert made.add(photos, settings=HERE).added == COUNT + 1
    return Library.open(path, channel="points", extractor=FakeExtractor())


def test_a_stored_row_is_the_witness_of_the_picture(library: Library, photos: Path) -> None:
    for place, path in library.snapshot.paths():
        stored = library.snapshot.row(place, "points")
        assert stored is not None
        seen = decode(Path((path or b"").decode()).read_bytes(), at_least=200, **AS_SEEN).image
        assert np.array_equal(points_of(np.array(stored)), witness(seen))
    assert len(points_of(load_extractor("points").embed([photos / "blank.png"])[0])) == 0


@pytest.mark.parametrize("room", [22, 100, 2048, 1 << 14])
def test_a_packed_witness_is_unpacked_as_it_was(room: int) -> None:
    points = witness(picture(3), most_bytes=room)
    row = packed(points, room)
    assert row.shape == (Points(bytes=room).dimension,)
    assert np.array_equal(points_of(row), points)
    views = query_witnesses(picture(3), most_bytes=room)
    asked = views_of(Points(bytes=room).of_queries.embed([picture(3)])[0], len(row))
    assert asked.keys() == views.keys()
    assert all(np.array_equal(asked[name], views[name]) for name in views)


@pytest.mark.parametrize("wrong", [21, 1 << 15])
def test_a_room_that_makes_no_sense_is_refused(wrong: int) -> None:
    with pytest.raises(InputError, match="must lie in 22 to 16384"):
        load_extractor(f"points(bytes={wrong})")


@pytest.mark.parametrize("edit", ["flip_horizontal", "laid_on_image_50", "inversion", "turn_90"])
def test_a_query_finds_its_original_by_places(library: Library, edit: str) -> None:
    copies = [by_name(edit).apply(picture(i), np.random.default_rng(i)) for i in range(COUNT)]
    answers = library.search(copies, k=3)
    assert answers.metric == "places"
    for i, answer in enumerate(answers):
        assert answer.matches[0].path.endswith(f"/{i}.jpg")
        place = library.snapshot.by_id(answer.matches[0].id)
        assert place is not None
        item = points_of(np.array(library.snapshot.row(place, "points")))
        assert answer.matches[0].distance == 1 / (1 + look(query_witnesses(copies[i]), item).agreeing)


def test_a_blank_query_has_no_match_and_limits_are_kept(library: Library) -> None:
    blank, some = library.search([Image.new("RGB", (200, 200)), picture(0)], k=COUNT, max_distance=0.2)
    assert blank.matches == ()
    assert [match.path[-6:] for match in some.matches] == ["/0.jpg"]
    with pytest.raises(InputError, match="give k"):
        library.search(picture(0), k=None, max_distance=0.2)
    with pytest.raises(MetricError, match="use places"):
        library.search(picture(0), metric="hamming")


def test_a_library_is_prepared_for_searches_by_places(library: Library) -> None:
    assert library.prepare() > 0
    assert library.search(picture(2), k=1)[0].matches[0].path.endswith("/2.jpg")


def test_several_looks_are_those_of_one_by_one() -> None:
    items = [witness(picture(i)) for i in range(COUNT)] + [witness(Image.new("L", (99, 99)))]
    for seed in range(3):
        views = query_witnesses(picture(seed).rotate(30))
        assert places_agreeing(views, items).tolist() == [look(views, item).agreeing for item in items]
    assert places_agreeing(views, []).tolist() == []


def test_points_come_after_rows_that_have_distances(tmp_path: Path, photos: Path) -> None:
    with pytest.raises(InputError, match="another model first"):
        Library.create(tmp_path / "alone", model="points", device="cpu")
    with Library.create(tmp_path / "later", model=FakeExtractor(), device="cpu") as library:
        library.add(photos, settings=HERE)
        report = library.reembed("points", settings=HERE)
        assert (report.channel, report.missing) == ("points", {})
        library.remove(photos / "3.jpg")
        library.optimize()
        assert library.verify(deep=True) == []
    with Library.open(tmp_path / "later", channel="points", extractor=FakeExtractor()) as library:
        assert library.search(picture(3), k=1)[0].matches[0].distance > 0.2
        assert library.search(picture(4), k=1)[0].matches[0].path.endswith("/4.jpg")


def test_one_decoding_serves_rows_and_points() -> None:
    """Else keypoints would cost a second decoding of every large photograph."""
    rows, points = (load_extractor(name).preprocessing.decoding for name in ("mini", "points"))
    for size in ((320, 240), (800, 600), (1920, 1080), (4000, 3000), (6000, 4000)):
        buffer = io.BytesIO()
        Image.new("RGB", size).save(buffer, "JPEG")
        assert decode(buffer.getvalue(), **rows).serves(rows, points)


def test_a_jpeg_at_another_scale_has_much_the_same_points() -> None:
    buffer = io.BytesIO()
    picture(1, (1600, 1200)).save(buffer, "JPEG", quality=95)
    whole, reduced = (decode(buffer.getvalue(), at_least=side, **AS_SEEN).image for side in (None, 160))
    assert reduced.size < whole.size
    assert look(query_witnesses(whole), witness(reduced)).agreeing > 30
