"""Views: a copy that is mirrored, turned, framed or inside another picture is found, and its match names the view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import InputError
from simsearch.images.views import KINDS, PLAIN, view_of, views_of_kinds
from simsearch.library import Library, Matches
from tests.fake import BlindExtractor
from tests.library.helpers import HERE, CountingExtractor, make

Edit = Callable[[Image.Image, Image.Image], Image.Image]
ALL = tuple(KINDS)


def photograph(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(12):
        photograph(seed).save(tmp_path / "photos" / f"{seed:02}.png")
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path: Path, photos: Path) -> Library:
    library = make(tmp_path / "library")
    library.add(photos, settings=HERE)
    return library


def framed(image: Image.Image, _: Image.Image) -> Image.Image:
    out = Image.new("RGB", (image.width + 40, image.height + 30), (200, 20, 90))
    out.paste(image, (25, 12))
    return out


def beside(image: Image.Image, other: Image.Image) -> Image.Image:
    out = Image.new("RGB", (2 * image.width, image.height))
    out.paste(other, (0, 0))
    out.paste(image, (image.width, 0))
    return out


def in_a_quarter(image: Image.Image, other: Image.Image) -> Image.Image:
    out = other.resize((2 * image.width, 2 * image.height))
    out.paste(image, (0, image.height))
    return out


EDITS: dict[str, tuple[str, Edit]] = {
    "mirrored": ("flips", lambda image, _: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "turned 270": ("turns", lambda image, _: image.transpose(Image.Transpose.ROTATE_90)),
    "mirrored, turned 180": ("flips,turns", lambda image, _: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
    "inner part": ("letterbox", framed),
    "right half": ("crops", beside),
    "lower left quarter": ("crops", in_a_quarter),
}


@pytest.mark.parametrize("view", EDITS)
def test_an_edited_copy_is_found_by_its_view_and_not_without(library: Library, tmp_path: Path, view: str) -> None:
    kinds, edit = EDITS[view]
    path = tmp_path / "query.png"
    edit(photograph(3), photograph(99)).save(path)
    for query in (path, Image.open(path).copy(), path.read_bytes(), np.asarray(Image.open(path))):
        (nearest,) = library.search(query, views=kinds, k=1)[0].matches
        assert (nearest.id, nearest.view) == (3, view)
        assert nearest.distance < 1e-3
        (plain,) = library.search(query, k=1)[0].matches
        assert plain.view is None
        assert plain.distance > 10 * nearest.distance + 1e-3


def without_views(matches: Matches) -> list[list[tuple[int, float]]]:
    return [[(match.id, match.distance) for match in answer.matches] for answer in matches]


@pytest.mark.parametrize(
    "how", [{}, {"group_copies": False}, {"max_distance": 0.15}, {"k": None, "max_distance": 0.15}]
)
def test_the_nearest_view_of_each_item_counts(library: Library, tmp_path: Path, how: dict[str, object]) -> None:
    for seed in (2, 5, 7):  # copies, so that there is something to group
        photograph(seed).save(tmp_path / f"copy-{seed}.png")
        library.add(tmp_path / f"copy-{seed}.png", settings=HERE)
    queries = [framed(photograph(2), photograph(2)), beside(photograph(5), photograph(7)), photograph(50)]
    how = {"k": 4, **how}
    found = library.search(queries, views=ALL, **how)  # type: ignore[arg-type]
    for query, answer in zip(queries, found, strict=True):
        best: dict[int, tuple[float, str]] = {}
        for view in views_of_kinds(ALL):
            seen = view_of(query, view)
            (alone,) = library.search(seen, **how | {"k": 99}) if seen else [replace(answer, matches=())]  # type: ignore[arg-type]
            for match in alone.matches:
                best.setdefault(match.id, (match.distance, view))
                best[match.id] = min(best[match.id], (match.distance, view), key=lambda pair: pair[0])
        wanted = sorted((distance, number, view) for number, (distance, view) in best.items())
        told = [(match.distance, match.id, match.view) for match in answer.matches]
        assert told == wanted[: how["k"]]  # type: ignore[misc]
        assert answer.certified
        assert answer.more == (None if "max_distance" not in how else len(wanted) > len(told))


def test_an_answer_says_how_many_views_were_searched(library: Library) -> None:
    (framed_one, plain, blank) = library.search(
        [framed(photograph(1), photograph(1)), photograph(1), Image.new("RGB", (64, 64))], views="letterbox,flips"
    )
    assert (framed_one.views, plain.views, blank.views) == (3, 2, 1)
    assert {match.view for match in blank.matches} == {PLAIN}
    assert library.search(photograph(1))[0].views == 1


def test_what_is_asked_without_views_is_answered_as_by_the_plain_view(library: Library, photos: Path) -> None:
    plain = library.search(photos)
    assert library.search(photos, views=()).to_list() == plain.to_list()
    assert all("view" not in match for one in plain.to_list() for match in one["matches"])
    assert all("views" not in one for one in plain.to_list())
    asked = library.search(photos, views="flips")
    assert [one.matches[0].to_dict() | {"view": PLAIN} for one in plain] == [one.matches[0].to_dict() for one in asked]
    assert all(one["views"] == 2 for one in asked.to_list())
    assert asked.to_arrow()["view"].to_pylist().count(PLAIN) >= 12
    assert "(mirrored)" in repr(asked)


def test_a_content_that_the_library_has_keeps_its_row_as_it_is_and_no_other(tmp_path: Path, photos: Path) -> None:
    extractor = CountingExtractor()
    library = make(tmp_path / "counted", extractor)
    library.add(photos, settings=HERE)
    rows = library.snapshot.segments[0].channels["fake"].row
    found = library.search(photos, views="flips", k=1)
    assert (found.distances == 0).all()
    assert len(rows) == 12
    assert extractor.embedded == 12 + 24


def test_a_query_is_left_out_of_its_own_answer_in_every_view(library: Library, photos: Path) -> None:
    symmetric = photos / "symmetric.png"
    half = np.asarray(photograph(30))
    Image.fromarray(np.concatenate([half, half[:, ::-1]], axis=1)).save(symmetric)
    library.add(symmetric, settings=HERE)
    found = library.search(photos, views=ALL, exclude_self=True, k=20)
    assert all(one.query not in [match.path for match in one.matches] for one in found)
    assert all(len(one.matches) == 12 for one in found)


def test_a_picture_from_memory_is_the_same_content_in_all_views(library: Library) -> None:
    library.add(photograph(40), settings=HERE)
    (answer,) = library.search(photograph(40), views=ALL, k=20)
    assert (answer.matches[0].id, answer.matches[0].distance) == (12, 0)
    (others,) = library.search(photograph(40), views=ALL, k=20, exclude_self=True)
    assert 12 not in [match.id for match in others.matches]


def test_equal_contents_are_one_match_whichever_views_find_them(tmp_path: Path, photos: Path) -> None:
    library = make(tmp_path / "blind", BlindExtractor())
    library.add(photos, settings=HERE)
    (photos / "copy.png").write_bytes((photos / "04.png").read_bytes())
    library.add(photos, settings=HERE)
    (answer,) = library.search(photograph(60), views=ALL, k=20)
    assert len(answer.matches) == 12
    (match,) = [match for match in answer.matches if match.copies]
    assert (match.id, [copy.id for copy in match.copies]) == (4, [12])


def test_workers_and_this_process_answer_alike(library: Library, photos: Path) -> None:
    framed(photograph(4), photograph(4)).save(photos / "framed.jpg")
    (photos / "broken.jpg").write_bytes(b"no picture")
    here = library.search(photos, views=ALL, settings=HERE)
    apart = library.search(photos, views=ALL, settings=replace(HERE, workers=2, batch_size=64))
    assert here.to_list() == apart.to_list()
    assert [one.rejected is not None for one in here].count(True) == 1


def test_rows_have_no_views(library: Library) -> None:
    with pytest.raises(InputError, match="views are for images"):
        library.search(np.ones((1, 192), np.float32), views="flips")
    with pytest.raises(InputError, match="give some of flips, turns, crops, letterbox"):
        library.search(photograph(1), views=["mirror"])
